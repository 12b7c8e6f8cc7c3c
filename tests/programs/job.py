# job.py FOLDER NAME: a process of a job that writes down what it knows of itself, in the columns of the dataset, from
# Python and /proc alone: FOLDER/NAME.json, an array of rows. How it ends is told by NAME.
import grp
import json
import os
import pwd
import sys
import time

folder, name = sys.argv[1:]
MASK = (1 << 64) - 1


def siphash(parts):
    """SipHash-2-4 with 128 bits under the key 0 (Aumasson and Bernstein, 2012), each part preceded by its length."""
    message = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    a, b, c, d = 0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573

    def rotated(word, by):
        return (word << by | word >> (64 - by)) & MASK

    def rounds(count):
        nonlocal a, b, c, d
        for _ in range(count):
            a, c = (a + b) & MASK, (c + d) & MASK
            b, d = rotated(b, 13) ^ a, rotated(d, 16) ^ c
            a = rotated(a, 32)
            c, a = (c + b) & MASK, (a + d) & MASK
            b, d = rotated(b, 17) ^ c, rotated(d, 21) ^ a
            c = rotated(c, 32)

    last = len(message) // 8 * 8
    words = [message[at:at + 8] for at in range(0, last, 8)]
    words.append(message[last:].ljust(7, b"\0") + bytes([len(message) & 255]))
    for word in words:
        word = int.from_bytes(word, "little")
        d ^= word
        rounds(2)
        a ^= word
    c ^= 0xEE
    rounds(4)
    low = a ^ b ^ c ^ d
    b ^= 0xDD
    rounds(4)
    return (a ^ b ^ c ^ d) << 64 | low


def content(path):
    with open(path, "rb") as file:
        return file.read()


def ticks():
    # The second field may hold anything but a `)` at its end.
    return int(content("/proc/self/stat").rpartition(b")")[2].split()[19])


def identity():
    parts = [content("/proc/sys/kernel/random/boot_id"), os.readlink("/proc/self/ns/pid").encode()]
    return f"{siphash(parts + [os.getpid().to_bytes(4, 'little'), ticks().to_bytes(8, 'little')]):032x}"


def rows(exit, parent=None):
    """What is known now, just before the end; `elapsed` and `start` as of now."""
    import own

    of_job, shifter = os.environ.get, "SHIFTER_RUNTIME" in os.environ
    files = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}  # where the tests themselves run in one
    container = "shifter" if shifter else next((kind for file, kind in files.items() if os.path.exists(file)), "")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks() / os.sysconf("SC_CLK_TCK")
    import sqlite3  # a listed package, with a shared library of the list

    loaded = {name for name, module in sys.modules.items() if module is not None}
    [library] = {line.rpartition("/libsqlite3.so.")[2] for line in open("/proc/self/maps") if "/libsqlite3.so." in line}
    common = {
        "id": identity(), "seq": 0, "host": of_job("SLURMD_NODENAME") if container else os.uname().nodename,
        "system": "chain", "subsystem": of_job("SLURM_JOB_PARTITION"), "username": pwd.getpwuid(os.getuid()).pw_name,
        "uid": os.getuid(), "pid": os.getpid(), "ppid": os.getppid(), "executable": sys.executable,
        "main": os.path.abspath(__file__), "prefix": sys.prefix, "python": sys.version.split()[0],
        "is_compute": "SLURMD_NODENAME" in os.environ, "is_shifter": shifter, "container": container,
        "is_staff": grp.getgrnam("games").gr_gid in [os.getgid(), *os.getgroups()], "job_id": of_job("SLURM_JOB_ID"),
        "num_nodes": int(of_job("SLURM_JOB_NUM_NODES")), "qos": of_job("SLURM_JOB_QOS", ""),
        "repo": of_job("SLURM_JOB_ACCOUNT", ""), "start": time.time() - age, "elapsed": age, "exit": exit, "weight": 1.0,
        "canary": of_job("CUSTOMS_CANARY"), "parent": parent,
    }
    listed = [module for module in ("sqlite3", "json", "json.decoder", "decimal") if module in loaded]
    versions = {top: sys.modules[top].__version__ for top in ("json", "decimal") if top in loaded}
    tops = {module.partition(".")[0] for module in loaded} - set(sys.stdlib_module_names) - {"__main__"}
    return [
        common | {"list": "packages", "packages": listed + ["sqlite"], "versions": versions | {"sqlite3": sqlite3.sqlite_version, "sqlite": library.strip()},
                  "direct": [module for module in listed if module in ("sqlite3", "json", "decimal")],
                  "libraries": ["sqlite"], "rate": None},
        common | {"list": "everything", "packages": sorted(tops), "versions": {"own": own.__version__},
                  "direct": ["own"], "libraries": [], "rate": 0.999999},
    ]


def note(name, found):
    with open(os.path.join(folder, f"{name}.json"), "w") as file:
        json.dump(found, file)


if os.environ.get("SLURM_PROCID", "0") != "0":
    sys.exit()  # of a program's ranks the first reports
import own
import sqlite3

if name == "parent":
    ancestor = identity()
    child = os.fork()
    if child == 0:
        import decimal  # which its parent has not

        note("child", rows("normal", ancestor))
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    note(name, rows("normal"))
elif name == "leaving":
    note(name, rows("os_exit"))
    os._exit(0)
