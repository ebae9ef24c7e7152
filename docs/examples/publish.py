from simulator.ordering.litmus import Cpu, Protocol


def writer(k: Cpu) -> None:
    k.WRITE_ONCE("page", 1)
    k.smp_wmb()
    k.WRITE_ONCE("ready", 1)


def reader(k: Cpu) -> None:
    if k.READ_ONCE("ready") == 1:
        k.require("page-before-ready", k.READ_ONCE("page") == 1)


mine = Protocol(
    "publish",
    "a page is filled, then announced",
    (writer, reader),
    expected={"sc": "safe", "tso": "safe", "arm64": "safe"},
)
