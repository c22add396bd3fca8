"""Measurements of the code's size, shape and language, as a table: `python -m tests.lint.measurements [FOLDER]`.

The folder is a checkout, this one by default, so that a release can be compared with another. Migrations are left out:
they are written once. Medians and percentiles are of lines; `folder` counts the modules of a folder without `__init__`.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("services", "contracts", "infra")
SERVICES = "services"
INTERROGATIVE = re.compile(r"(who|whom|whose|what|which|whether|how|when|where|why)\b", re.IGNORECASE)
"""Beginnings of a first line that hide who acts. "When" and "where" are among them: the rule comes before its case."""
WORDS = re.compile(r"\b(who|whom|whose|what|nobody|somebody|those)\b", re.IGNORECASE)
"""Words that are counted per 100 words of docstrings."""
_WORD = re.compile(r"[A-Za-z']+")
_BROAD = ("Exception", "BaseException")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module


@dataclass(frozen=True)
class Module:
    """A parsed file.

    Attributes:
        name: with dots, from the root.
        path: from the root.
    """

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.text.count("\n")

    def walk(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        """All nodes of some kinds."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))


def modules(root: Path, folders: Iterable[str] = FOLDERS) -> list[Module]:
    """The modules of a checkout."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            relative = path.relative_to(root)
            if "versions" in relative.parts or "node_modules" in relative.parts:
                continue
            text = path.read_text()
            name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
            found.append(Module(name, relative, text, ast.parse(text)))
    return found


def interrogatives(module: Module) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring that begins with an interrogative."""
    for node in module.walk(ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, Documented)
        text = ast.get_docstring(node)
        if text and INTERROGATIVE.match(text):
            yield getattr(node, "lineno", 1), text.partition("\n")[0]


def imports(module: Module, known: set[str]) -> set[str]:
    """The modules among the known ones that a module imports, in functions and for types alone, too."""
    found: set[str] = set()
    for node in module.walk(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(node.module)
    packages = {name for name in found if any(other.startswith(f"{name}.") for other in known)}
    return (found & known) - packages - {module.name}


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for following in graph.get(node, ()):
            if following not in index:
                visit(following)
                low[node] = min(low[node], low[following])
            elif following in on_stack:
                low[node] = min(low[node], index[following])
        if low[node] == index[node]:
            component = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            on_stack.difference_update(component)
            if len(component) > 1:
                found.append(component)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def folder_cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Cycles among the modules and folders that lie in one folder."""
    siblings: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for importer, imported in graph.items():
        for other in imported:
            ours, theirs = importer.split("."), other.split(".")
            common = next(
                (at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
            )
            if common < len(ours) and common < len(theirs):
                parent = ".".join(ours[:common])
                siblings[parent][ours[common]].add(theirs[common])
    return [
        {f"{parent}.{node}" for node in component}
        for parent, within in siblings.items()
        for component in cycles(within)
    ]


@dataclass
class Measurements:
    """Measurements of a checkout, by what the table calls them."""

    values: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: object) -> None:
        """Note a line of the table."""
        self.values[name] = str(value)


def _sizes(numbers: list[int]) -> str:
    if len(numbers) < 2:
        return ""
    parts = statistics.quantiles(numbers, n=100, method="inclusive")
    return f"{statistics.median(numbers):.0f}, {parts[89]:.0f}, {parts[98]:.0f}, {max(numbers)}"


def _length(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: Function) -> int:
    given = node.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)


def _is_public(node: Documented) -> bool:
    return not isinstance(node, ast.Module) and not node.name.startswith("_")


def measure(root: Path) -> Measurements:
    """Measure a checkout."""
    shown = Measurements()
    found = modules(root)
    functions = [node for one in found for node in one.walk(ast.FunctionDef, ast.AsyncFunctionDef)]
    classes = [node for one in found for node in one.walk(ast.ClassDef)]
    all_functions = [node for node in functions if isinstance(node, Function)]
    all_classes = [node for node in classes if isinstance(node, ast.ClassDef)]
    documented: list[Documented] = [*all_functions, *all_classes]
    public = [node for node in documented if _is_public(node)]
    handlers = [node for one in found for node in one.walk(ast.ExceptHandler)]
    broad = [
        node
        for node in handlers
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or any(isinstance(part, ast.Name) and part.id in _BROAD for part in ast.walk(node.type)))
    ]
    lines = sum(one.lines for one in found)
    in_services = [one for one in found if one.path.parts[0] == SERVICES]
    shown.add("modules, lines", f"{len(found)}, {lines}")
    shown.add("lines of services", sum(one.lines for one in in_services))
    shown.add("module: median, p90, p99, max", _sizes([one.lines for one in found]))
    shown.add("function: median, p90, p99, max", _sizes([_length(node) for node in all_functions]))
    shown.add("class: median, p90, p99, max", _sizes([_length(node) for node in all_classes]))
    shown.add("parameters: median, p90, p99, max", _sizes([_parameters(node) for node in all_functions]))
    shown.add("public names documented", f"{100 * sum(bool(ast.get_docstring(n)) for n in public) / len(public):.0f} %")
    for name, pattern in (("Any", r"\bAny\b"), ("noqa", r"# noqa"), ("type: ignore", r"# type: ignore")):
        count = sum(len(re.findall(pattern, one.text)) for one in found)
        shown.add(f"{name}, per 1000 lines", f"{count}, {1000 * count / lines:.1f}")
    shown.add("broad handlers, of all", f"{len(broad)}, {len(handlers)}")
    folders = Counter(str(one.path.parent) for one in found if one.path.name != "__init__.py")
    shown.add("modules in a folder: max", ", ".join(f"{count} {name}" for name, count in folders.most_common(4)))
    shown.add("folders of more than 16", sum(count > 16 for count in folders.values()))
    _language(shown, found)
    _cycles(shown, found)
    return shown


def _language(shown: Measurements, found: list[Module]) -> None:
    every = [(one, node) for one in found for node in one.walk(*Documented.__args__)]
    texts = [ast.get_docstring(node) or "" for _, node in every if isinstance(node, Documented)]
    first = sum(len(list(interrogatives(one))) for one in found)
    words = sum(len(_WORD.findall(text)) for text in texts)
    shown.add("interrogative first lines, of all", f"{first}, {sum(bool(text) for text in texts)}")
    shown.add(
        "who, what, nobody … per 100 words", f"{100 * sum(len(WORDS.findall(text)) for text in texts) / words:.2f}"
    )
    names = Counter(
        node.id if isinstance(node, ast.Name) else node.arg
        for one in found
        for node in one.walk(ast.Name, ast.arg)
        if isinstance(node, ast.Name | ast.arg)
    )
    shown.add("identifiers", ", ".join(f"{name} {names[name]}" for name in ("one", "found", "said", "told", "of")))
    defined = Counter(node.name for one in found for node in one.walk(ast.ClassDef) if isinstance(node, ast.ClassDef))
    shown.add(
        "class names used twice", ", ".join(sorted(name for name, count in defined.items() if count > 1)) or "none"
    )


def _cycles(shown: Measurements, found: list[Module]) -> None:
    known = {one.name for one in found}
    graph = {one.name: imports(one, known) for one in found}
    for name, each in (("cycles of modules", cycles(graph)), ("cycles of folders", folder_cycles(graph))):
        shown.add(name, "; ".join(" ".join(sorted(one)) for one in each) or "none")


def main() -> None:
    """Print the table."""
    sys.setrecursionlimit(10_000)
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    for name, value in measure(root).values.items():
        print(f"{name:36} {value}")


if __name__ == "__main__":
    main()
