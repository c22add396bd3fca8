"""Rules of the code, whatever it is given, that are read off its syntax.

Each rule has a short list of places that may, with the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for package in ("contracts", "services", "infra")
    for path in sorted((ROOT / package).rglob("*.py"))
}
SERVICES = {name: tree for name, tree in FILES.items() if not name.startswith(("infra/", "services/cli/"))}
"""What answers to others; the command line and what starts it are the operator's."""


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def importing(files: dict[str, ast.Module], *modules: str) -> set[str]:
    wanted = re.compile("|".join(rf"{re.escape(module)}(\.|$)" for module in modules))
    return {name for name, tree in files.items() if any(wanted.match(one) for one in imports(tree))}


def calling(files: dict[str, ast.Module], judge: Callable[[str, ast.Call], bool]) -> set[str]:
    return {
        f"{name}:{node.lineno} {ast.unparse(node)[:100]}"
        for name, tree in files.items()
        for what, node in calls(tree)
        if judge(what, node)
    }


def test_no_text_is_run_as_code() -> None:
    banned = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
    assert calling(FILES, lambda what, _: what in banned) == set()


def test_nothing_is_read_that_can_hold_code_or_entities() -> None:
    """Pickles and YAML's objects are code, XML has entities. What comes from outside is JSON, and read into models."""
    banned = ("pickle", "marshal", "shelve", "dill", "jsonpickle", "yaml", "xml", "lxml", "xmlrpc", "joblib")
    assert importing(FILES, *banned) == set()
    arrays = calling(
        FILES, lambda what, node: what in {"np.load", "numpy.load"} and "allow_pickle" in ast.unparse(node)
    )
    assert arrays == set()


def test_no_service_starts_a_process_of_what_it_is_told() -> None:
    """Services start none; the stack and the command line start programs by lists of arguments, without a shell."""
    assert importing(SERVICES, "subprocess", "pty", "multiprocessing", "asyncio.subprocess") == set()
    shells = calling(FILES, lambda what, node: any(word.arg == "shell" for word in node.keywords) or "_shell" in what)
    assert shells == set()


def test_no_template_is_made_of_what_somebody_sent() -> None:
    assert importing(FILES, "jinja2", "mako", "chameleon", "string.Template", "string.Formatter") == set()
    wrong = calling(
        SERVICES,
        lambda what, node: (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in {"format", "format_map"}
            and not isinstance(node.func.value, ast.Constant | ast.JoinedStr)
            and not re.match(r"_?[A-Z_]+(\[\w+\])?\.", what)  # a constant, or one of a table of them
            and not what.startswith("rollup")  # a constant of `services.persistence.rollups`
        ),
    )
    assert wrong == set()


def test_what_is_looked_for_by_a_pattern_is_escaped() -> None:
    """A pattern that somebody sends may take for ever, and may find what it should not."""
    functions = {f"re.{name}" for name in ("compile", "match", "search", "fullmatch", "sub", "split", "findall")}

    def unescaped(what: str, node: ast.Call) -> bool:
        if what not in functions or not node.args or isinstance(node.args[0], ast.Constant):
            return False
        names = [ast.unparse(one) for one in ast.walk(node.args[0]) if isinstance(one, ast.Name) and one.id != "re"]
        return "re.escape(" not in ast.unparse(node.args[0]) and not all(name.lstrip("_").isupper() for name in names)

    assert calling(SERVICES, unescaped) == set()


def test_secrets_are_drawn_by_the_systems_generator() -> None:
    """`random` can be guessed. It makes people and history of the demo, delays between tries, and finds free ports."""
    allowed = re.compile(r"services/(ingest/(simulator/|camera)|persistence/demo/|kit/|cli/)|infra/local/(demo|ports)")
    assert {name for name in importing(FILES, "random", "numpy.random") if not allowed.match(name)} == set()
    drawn = calling(FILES, lambda what, _: what.startswith("secrets."))
    assert drawn
    assert not [one for one in drawn if re.search(r"secrets\.(choice|randbelow|randbits)", one)]
    short = [one for one in drawn if (size := re.search(r"token_\w+\((\d+)\)", one)) and int(size[1]) < 16]
    # A key's prefix says which key is meant, and what ends an id tells two apart: neither lets anybody in.
    names = ("auth/tokens/api_keys.py", "api/http/repository.py")
    assert not [one for one in short if "api/" in one and not any(name in one for name in names)]


def test_no_hash_or_cipher_is_used_that_is_broken() -> None:
    broken = re.compile(r"(hashlib\.(md5|sha1|new)|.*\b(MD5|SHA1|ECB|DES|TripleDES|ARC4|Blowfish|PKCS1v15|RC4)\b.*)$")
    found = calling(FILES, lambda what, _: bool(broken.match(what)))
    # Sums that publishers of models give, see below; and Digest of RFC 7616, of which many cameras know MD5 alone.
    others = ("services/detector/models/checksums.py", "services/ingest/egress/authentication.py")
    assert {one for one in found if not one.startswith(others)} == set()
    assert not [
        name for name in FILES for one in imports(FILES[name]) if re.search(r"\b(MD5|SHA1|ECB|PKCS1v15|Crypto)\b", one)
    ]


def test_the_sums_of_models_are_of_no_broken_hash() -> None:
    modules = "".join(path.read_text() for path in (ROOT / "services" / "detector").rglob("*.py"))

    assert set(re.findall(r"\b(md5|sha1|sha\d\d+)\b", modules)) <= {"sha256", "sha384", "sha512"}


CRYPTOGRAPHY = ("cryptography", "jwt", "argon2", "hashlib", "hmac", "ssl", "pyotp", "secrets")


def test_whoever_uses_cryptography_is_in_the_inventory() -> None:
    """docs/security.md lists what is sealed, signed, hashed and drawn, and by which module."""
    page = (ROOT / "docs" / "security.md").read_text()
    using = importing(SERVICES, *CRYPTOGRAPHY)

    assert using
    assert {name for name in using if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", ["verify=False", "CERT_NONE", "_create_unverified_context", "check_hostname = False"])
def test_no_certificate_is_taken_on_trust(name: str) -> None:
    """Cameras have certificates of their own making, and passwords are sent to them: see "What is not met"."""
    cameras = {path for path in FILES if path.startswith("services/ingest/")}
    wrong = {path for path in FILES if name in (ROOT / path).read_text()}
    assert wrong - cameras == set()
