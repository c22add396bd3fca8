#!/usr/bin/python3
"""A real RTSP server for tests: GStreamer's, run by Debian's own Python.

    rtsp_server.py [--port PORT] [--stream NAME=PIPELINE]... [--user NAME --password WORD [--method digest]] [--by udp]

Serves in real time over TCP alone, or UDP alone: moving bars, coded as H.264, at `/cam`, and each of the pipelines, in
GStreamer's language with payloaders pay0, pay1, …, at a path of its own, from its beginning when somebody asks for it.
The first line on stdout is the address; a port of 0 takes a free one. SIGTERM ends it: clients see the connection drop,
as when a camera loses power. SIGSTOP makes a camera that hangs.
"""

import argparse
import sys

try:
    import gi  # type: ignore[import-not-found]  # Debian's Python has it, the project's has not

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # likewise
except (ImportError, ValueError) as error:
    sys.exit(f"cannot serve RTSP: {error}")

BARS = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert"
    " ! openh264enc gop-size=30 ! h264parse config-interval=1 ! rtph264pay name=pay0 pt=96 )"
)


def require_login(
    server: "GstRtspServer.RTSPServer", factories: "list[GstRtspServer.RTSPMediaFactory]", given: argparse.Namespace
) -> None:
    auth = GstRtspServer.RTSPAuth()
    if given.method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, given.user)
    if given.method == "digest":
        auth.add_digest(given.user, given.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(given.user, given.password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(given.user, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role(given.user, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    for factory in factories:
        factory.set_permissions(permissions)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", default="0")
    options.add_argument("--stream", action="append", default=[])
    options.add_argument("--user")
    options.add_argument("--password", default="")
    options.add_argument("--method", choices=["basic", "digest"], default="basic")
    options.add_argument("--by", choices=["tcp", "udp"], default="tcp")
    given = options.parse_args()
    Gst.init(None)
    missing = [name for name in ("openh264enc", "h264parse", "rtph264pay") if not Gst.ElementFactory.find(name)]
    if missing:
        sys.exit(f"cannot serve RTSP: GStreamer lacks {', '.join(missing)}")
    server = GstRtspServer.RTSPServer(service=given.port, address="127.0.0.1")
    factories = []
    for name, pipeline in [("cam", BARS), *(given_one.split("=", 1) for given_one in given.stream)]:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline)
        factory.set_shared(True)
        factory.set_protocols(getattr(GstRtsp.RTSPLowerTrans, given.by.upper()))
        server.get_mount_points().add_factory(f"/{name}", factory)
        factories.append(factory)
    if given.user:
        require_login(server, factories, given)
    if not server.attach(None):
        sys.exit(f"cannot serve RTSP: port {given.port} is taken")
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/cam", flush=True)
    GLib.MainLoop().run()


main()
