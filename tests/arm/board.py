"""Roots of Debian 12 and 13 to try a package in: of any architecture, written to in an overlay only, gone with the process that made them.

Roots are made once, by packaging/root, in ${XDG_CACHE_HOME:-~/.cache}/millrace.  All mounts are in a mount namespace of our own
(own_mounts), so that nothing has to be taken down, however a test ends.
"""

import os
import shutil
import subprocess
import sys
import tempfile

QEMU = {"arm64": "aarch64", "armhf": "arm"}
# What a board has anyhow, in its small form: systemd's ways to make users and directories.
BOARD = "systemd-standalone-sysusers,systemd-standalone-tmpfiles"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "millrace")


def own_mounts():
    """Runs the program again, with mounts that are gone when it ends."""
    if os.environ.get("MILLRACE_OWN_MOUNTS") != "1":
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv],
                   dict(os.environ, MILLRACE_OWN_MOUNTS="1"))


def run(*argv, seconds=600, **more):
    done = subprocess.run([str(a) for a in argv], timeout=seconds, check=False, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    assert done.returncode == 0, f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def make_runnable(arch):
    """Tells the kernel which program runs foreign ones. The F flag: it is opened now, so no root needs a copy."""
    folder = "/proc/sys/fs/binfmt_misc"
    if not os.path.exists(folder + "/register"):
        run("mount", "-t", "binfmt_misc", "binfmt_misc", folder)
    if not os.path.exists(f"{folder}/qemu-{QEMU[arch]}"):
        rule = f"/usr/lib/binfmt.d/qemu-{QEMU[arch]}.conf"
        assert os.path.exists(rule), "qemu-user-static is missing: apt-get install qemu-user-static"
        with open(rule, encoding="ascii") as f, open(folder + "/register", "w", encoding="ascii") as to:
            to.write(f.read().strip())


def why_not(arch):
    """What this machine does not let us do, in one line; None when it lets us do all. To be asked with mounts of our own."""
    try:
        assert os.getuid() == 0, "it needs root"
        with tempfile.TemporaryDirectory(prefix="millrace-able-") as folder:
            run("mount", "-t", "tmpfs", "tmpfs", folder)
            try:
                for name in ("root", "lower", "upper", "work"):
                    os.mkdir(os.path.join(folder, name))
                run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work", folder + "/root")
                run("mount", "--bind", "/dev", folder + "/lower")
                run("mknod", folder + "/null", "c", "1", "3")
                run("unshare", "--pid", "--mount", "--fork", "chroot", "/", "mount", "-t", "proc", "proc", "/proc")
            finally:
                run("umount", "-R", folder)
        if arch in QEMU:
            make_runnable(arch)
            run("arch-test", arch)
    except (AssertionError, OSError) as e:
        return " ".join(str(e).split())
    return None


def make_root(name, release, arch, packages):
    """Another list of packages is another root; the one before it goes."""
    make = [os.path.join(ROOT, "packaging", "root"), "make", f"board-{release}-{name}", "-", release, "minbase", arch, packages]
    return subprocess.run(make, timeout=1800, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout.strip()


class Board:
    """A working copy of a root. `name` tells roots of one architecture with other packages apart."""

    def __init__(self, name, arch, packages, folder, release="bookworm"):
        self.arch = arch
        if arch in QEMU:
            make_runnable(arch)
        self.root = os.path.join(folder, "root")
        lower = make_root(name, release, arch, packages)
        run("mount", "-t", "tmpfs", "tmpfs", folder)
        for part in ("root", "upper", "work"):
            os.makedirs(os.path.join(folder, part))
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work", self.root)
        run("mount", "-t", "proc", "proc", self.root + "/proc")
        for node in ("null", "zero", "random", "urandom"):
            open(f"{self.root}/dev/{node}", "a", encoding="ascii").close()
            run("mount", "--bind", f"/dev/{node}", f"{self.root}/dev/{node}")
        archives = f"{CACHE}/archives-{release}-{name}"
        os.makedirs(archives + "/partial", exist_ok=True)
        run("mount", "--bind", archives, self.root + "/var/cache/apt/archives")
        shutil.copy("/etc/resolv.conf", self.root + "/etc/resolv.conf")
        self.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.write("etc/apt/apt.conf.d/99keep", 'Binary::apt::APT::Keep-Downloaded-Packages "true";\nAPT::Install-Recommends "false";\nAPT::Sandbox::User "root";\n')

    def write(self, path, text, mode=0o644):
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(os.path.join(self.root, path), mode)

    def inside(self, *argv):
        return ["chroot", self.root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
                *map(str, argv)]

    def run(self, *argv, seconds=600):
        return run(*self.inside(*argv), seconds=seconds)

    def packages(self):
        lines = self.run("dpkg-query", "-W", "-f", "${Package} ${Installed-Size} ${db:Status-Status}\n").splitlines()
        return {name: int(size) * 1024 for name, size, status in map(str.split, lines) if status == "installed"}

    def has_user(self):
        with open(self.root + "/etc/passwd", encoding="utf-8") as f:
            return any(line.startswith("millrace:") for line in f)

    def take_deb(self, debs):
        """Copies the package of our architecture into the root; returns its name."""
        deb = next((n for n in sorted(os.listdir(debs)) if n.startswith("millrace_") and n.endswith(f"_{self.arch}.deb")), None)
        assert deb, f"no millrace_…_{self.arch}.deb in {debs}: packaging/build-deb {self.arch}"
        shutil.copy(os.path.join(debs, deb), f"{self.root}/{deb}")
        return deb

    def what_is_left(self):
        """Of the package, after a purge."""
        left = [p for p in ("etc/millrace", "var/lib/millrace", "run/millrace", "usr/share/doc/millrace", "lib/systemd/system/millrace.service",
                            "var/lib/systemd/deb-systemd-helper-enabled/millrace.service.dsh-also")
                if os.path.lexists(os.path.join(self.root, p))]
        return left + (["user millrace"] if self.has_user() else [])
