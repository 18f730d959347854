"""What lighttpd has and this server does not have yet.

It is named, so that a configuration that uses it gets a clear answer instead of "there is no such option".
"""

from __future__ import annotations

# Modules of lighttpd that are not built in, with the beginning of their options' names.
FOREIGN_MODULES = {
    "mod_ajp13": "ajp13.",
    "mod_authn_dbi": "auth.backend.dbi",
    "mod_authn_gssapi": "auth.backend.gssapi.",
    "mod_authn_ldap": "auth.backend.ldap.",
    "mod_authn_pam": "auth.backend.pam.",
    "mod_authn_sasl": "auth.backend.sasl.",
    "mod_cgi": "cgi.",
    "mod_cml": "cml.",
    "mod_compress": "compress.",
    "mod_deflate": "deflate.",
    "mod_evasive": "evasive.",
    "mod_evhost": "evhost.",
    "mod_expire": "expire.",
    "mod_extforward": "extforward.",
    "mod_geoip": "geoip.",
    "mod_gnutls": "ssl.",
    "mod_magnet": "magnet.",
    "mod_maxminddb": "maxminddb.",
    "mod_mbedtls": "ssl.",
    "mod_nss": "ssl.",
    "mod_openssl": "ssl.",
    "mod_proxy": "proxy.",
    "mod_rrdtool": "rrdtool.",
    "mod_secdownload": "secdownload.",
    "mod_simple_vhost": "simple-vhost.",
    "mod_sockproxy": "sockproxy.",
    "mod_ssi": "ssi.",
    "mod_trigger_b4_dl": "trigger-before-download.",
    "mod_uploadprogress": "upload-progress.",
    "mod_userdir": "userdir.",
    "mod_usertrack": "usertrack.",
    "mod_vhostdb": "vhostdb.",
    "mod_webdav": "webdav.",
    "mod_wolfssl": "ssl.",
    "mod_wstunnel": "wstunnel.",
}

# Options of built-in modules that are not implemented, whatever their value.
FOREIGN_OPTIONS = (
    "accesslog.escaping",
    "accesslog.syslog-level",
    "auth.backend.htdigest.userfile",
    "auth.backend.plain.groupfile",
    "auth.cache",
    "auth.extern-authn",
    "dir-listing.",
    "server.absolute-dir-redirect",
    "server.reject-expect-100-with-417",
    "setenv.add-request-header",
    "setenv.set-environment",
    "setenv.set-request-header",
    "status.config-url",
    "url.access-allow",
)

# Values of auth.backend.
FOREIGN_BACKENDS = ("dbi", "gssapi", "htdigest", "ldap", "mysql", "pam", "sasl")


def reason(name: str) -> str:
    """Why an option of lighttpd's cannot be used, as the end of a sentence about it; "" if it is none."""
    for foreign in FOREIGN_OPTIONS:
        if name == foreign or (foreign.endswith(".") and name.startswith(foreign)):
            return "is not supported yet"
    for module, beginning in FOREIGN_MODULES.items():
        if name.startswith(beginning):
            return f"is not supported yet ({module} is not built in)"
    return ""
