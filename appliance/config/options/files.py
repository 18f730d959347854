"""Files: where they are looked up, what they are called, what is sent with them."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _B, _L, _P = Type.STRING, Type.BOOLEAN, Type.STRINGS, Type.PAIRS

TABLE = (
    Option("server.document-root", _S, None, "Directory that URLs are looked up in."),
    Option("server.follow-symlink", _B, True, "Serve what symbolic links lead to."),
    Option("server.force-lowercase-filenames", _B, False, "Look names up in lower case.", refused=(True,)),
    Option(
        "index-file.names",
        _L,
        (),
        "Files that answer for their directory, the first that exists.",
        "mod_indexfile",
    ),
    Option("server.indexfiles", _L, (), "Older name of index-file.names.", "mod_indexfile", refused=("*",)),
    Option("mimetype.assign", _P, (), "Content type by the end of a file's name."),
    Option("mimetype.use-xattr", _B, False, "Take content types from the file system.", refused=(True,)),
    Option("etag.use-inode", _B, True, "Let a file's inode be part of its ETag."),
    Option("etag.use-mtime", _B, True, "Let a file's time be part of its ETag."),
    Option("etag.use-size", _B, True, "Let a file's size be part of its ETag."),
    Option("static-file.etags", _B, True, "Send an ETag with files.", "mod_staticfile"),
    Option(
        "static-file.disable-pathinfo",
        _B,
        False,
        "Answer 403 to a path that goes on after a file's name.",
        "mod_staticfile",
    ),
    Option(
        "static-file.exclude-extensions",
        _L,
        (),
        "Ends of names that are never sent as files: sources of programs.",
        "mod_staticfile",
    ),
    Option("dir-listing.activate", _B, False, "List directories.", "mod_dirlisting", refused=(True,)),
    Option(
        "server.dir-listing",
        _B,
        False,
        "Older name of dir-listing.activate.",
        "mod_dirlisting",
        refused=(True,),
    ),
    Option(
        "alias.url", _P, (), "Files for paths that begin with a prefix, the first that fits.", "mod_alias"
    ),
    Option(
        "fcgibox.dot-files",
        _S,
        "allow",
        "Whether files whose name begins with a dot are served; /.well-known/ always is.",
        choices=("allow", "deny"),
    ),
)
