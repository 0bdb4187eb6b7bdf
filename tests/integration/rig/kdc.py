"""A Kerberos of its own (MIT's KDC) on a free port of 127.0.0.1: principals with keytabs."""

import os
import subprocess

from . import wait

REALM = "PLANT.EXAMPLE"

CONF = """[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 default_ccache_name = FILE:{folder}/tickets
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = 127.0.0.1:{port}
"""

KDC = """[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
  max_life = 1h
 }}
[logging]
 kdc = FILE:{folder}/kdc.log
"""


class Kdc:
    def __init__(self, folder):
        self.folder, self.port = str(folder), wait.free_port()
        self.process = wait.Process("krb5kdc", os.path.join(self.folder, "krb5kdc.log"))
        for name, text in (("krb5.conf", CONF), ("kdc.conf", KDC)):
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as f:
                f.write(text.format(realm=REALM, folder=self.folder, port=self.port))
        self.env = {"KRB5_CONFIG": f"{self.folder}/krb5.conf", "KRB5_KDC_PROFILE": f"{self.folder}/kdc.conf"}
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")

    def _run(self, *words):
        path = os.environ["PATH"] + ":/usr/sbin"
        done = subprocess.run(words, env={**os.environ, **self.env, "PATH": path}, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def keytab(self, principal):
        """The file with its keys."""
        path = f"{self.folder}/{principal.replace('/', '_')}.keytab"
        for command in (f"addprinc -randkey {principal}", f"ktadd -k {path} {principal}"):
            self._run("kadmin.local", "-r", REALM, "-q", command)
        assert os.path.exists(path), f"no keytab of {principal}"
        return path

    def start(self):
        path = os.environ["PATH"] + ":/usr/sbin"
        self.process.spawn(["krb5kdc", "-n", "-r", REALM], env={**os.environ, **self.env, "PATH": path})
        wait.until("the KDC", 20, lambda: self.process.must_live() or wait.port_answers(self.port),
                   detail=lambda: wait.tail(self.process.log))
        return self

    def kill(self):
        self.process.end(9, 10)
