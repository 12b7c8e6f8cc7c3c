# What a canary runs, under every Python from 2.7 on: it imports, and at its very end says what the library will find.
#
# Arguments, each a list with commas: variables to tell the values of; modules to import, without which it fails;
# modules to import if they are there; others, of which two that are there are enough.
import atexit, os, sys


def raw(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


def read(path):
    try:
        source = open(path, "rb")
    except (IOError, OSError):
        return b""
    try:
        return source.read()
    finally:
        source.close()


def link(path):
    try:
        return os.readlink(path)
    except (IOError, OSError):
        return ""


def words(number):
    return [word for word in sys.argv[number].split(",") if word]


# As the process was started, before any import could change it.
environment = getattr(os, "environb", os.environ)
variables = [(name, environment.get(raw(name))) for name in words(1)]


def say():
    lines = [b"customs-canary"]

    def tell(key, value):
        lines.append(raw(key) + b"\t" + raw(value).replace(b"\n", b" "))

    tell("python", sys.version.split()[0])
    tell("executable", sys.executable or link("/proc/self/exe"))
    tell("node", os.uname()[1])
    tell("pid", str(os.getpid()))
    tell("boot", read("/proc/sys/kernel/random/boot_id").strip())
    tell("namespace", link("/proc/self/ns/pid"))
    tell("stat", read("/proc/self/stat").rsplit(b")")[-1])
    for name, value in variables:
        if value:
            tell("variable", raw(name) + b"=" + raw(value))
    if os.path.exists("/run/.containerenv") or os.path.exists("/.dockerenv"):
        tell("container", "file")
    for name in sorted(set(path.rsplit(b"/", 1)[-1] for path in executables())):
        tell("library", name)
    standard = getattr(sys, "stdlib_module_names", None)
    if standard is not None:
        tell("knows", "standard library")
    for name in sorted(name for name, module in list(sys.modules.items()) if module is not None):
        top = standard is not None and "." not in name and name != "__main__" and name not in standard
        tell("other" if top else "module", name)
    tell("uptime", read("/proc/uptime"))
    lines.append(b"customs-canary-end\n")
    rest = b"\n".join(lines)
    while rest:
        rest = rest[os.write(1, rest):]


def executables():
    for line in read("/proc/self/maps").split(b"\n"):
        fields = line.split(None, 5)
        if len(fields) == 6 and b"x" in fields[1] and b".so" in fields[5] and fields[5].startswith(b"/"):
            path = fields[5]
            yield path[:-len(b" (deleted)")] if path.endswith(b" (deleted)") else path


# Callbacks run in the opposite order: whatever the imports register comes before.
atexit.register(say)
for name in words(2):
    __import__(name)
found = 0
for number in (3, 4):
    for name in words(number):
        if number == 3 or found < 2:
            try:
                __import__(name)
                found += number == 4
            except Exception:
                pass
