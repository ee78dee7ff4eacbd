"""Reading of case files and of image archives, for tests/build/compare.

A case file holds cases like this one; words are split as in a shell:

	case NAME
	args --build-arg A=1             flags for the build
	ctx FILE 644 'text\\n'            a file of the context ...
	ctx DIR/ 755                     ... a directory ...
	ctx LINK -> TARGET               ... a link ...
	ctx X.tar.gz = a:644:text b/:755 ... an archive with these members
	rule TEXT                        not made by Docker 20.10: where the wanted
	                                 result comes from; the lines below are it
	want FILE 644 0:0 'text\\n'       (DIR/ and LINK -> TARGET as above; -PATH is gone)
	config {"Cmd": ["x"]}            what differs from the base image's config
	dockerfile
	FROM base
	...
	end

Without `rule` the wanted result is in tests/build/wanted.json, which
`tests/build/compare --generate` makes with Docker.
"""
import hashlib
import io
import json
import os
import shlex
import stat
import tarfile

CONFIG_KEYS = ["Env", "Cmd", "Entrypoint", "User", "WorkingDir", "ExposedPorts", "Volumes",
               "Labels", "StopSignal", "Shell", "Healthcheck", "OnBuild"]
# What a container engine puts there for the time of a RUN.
ENGINE_PATHS = {"dev", "proc", "sys", "etc/hosts", "etc/resolv.conf", "etc/hostname", "run",
                "etc/mtab"}


def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def digest(data):
    return f"{len(data)}:{hashlib.sha256(data).hexdigest()[:16]}"


class Case:
    def __init__(self, name, where):
        self.name, self.where = name, where
        self.args, self.ctx, self.tree, self.dockerfile = [], [], {}, ""
        self.rule, self.config = None, {}

    def want(self, words):
        path = words[0]
        if path.startswith("-"):
            self.tree[path[1:]] = None
        elif len(words) > 2 and words[1] == "->":
            self.tree[path] = ["l", words[3] if len(words) > 3 else "0:0", words[2]]
        elif path.endswith("/"):
            self.tree[path.rstrip("/")] = ["d", words[1], words[2]]
        else:
            self.tree[path] = ["f", words[1], words[2], digest(unescape(words[3]))]

    def make_context(self, top):
        os.makedirs(top, exist_ok=True)
        dirs = []
        for words in self.ctx:
            path = os.path.join(top, words[0])
            os.makedirs(os.path.dirname(path.rstrip("/")), exist_ok=True)
            if words[1] == "->":
                os.symlink(words[2], path)
            elif words[1] == "=":
                make_archive(path, words[2:])
            elif words[0].endswith("/"):
                os.makedirs(path, exist_ok=True)
                dirs.append((path, int(words[1], 8)))
            else:
                with open(path, "wb") as f:
                    f.write(unescape(words[2]) if len(words) > 2 else b"")
                os.chmod(path, int(words[1], 8))
        for path, mode in dirs:
            os.chmod(path, mode)
        with open(os.path.join(top, "..", "Dockerfile." + os.path.basename(top)), "w",
                  newline="") as f:
            f.write(self.dockerfile)
        for root, names, files in os.walk(top):
            for name in names + files + [""]:
                os.utime(os.path.join(root, name), (1700000000, 1700000000),
                         follow_symlinks=False)


def make_archive(path, members):
    kind = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(
        path.rsplit(".", 1)[-1], "w:")
    with tarfile.open(path, kind) as tar:
        for member in members:
            name, mode, *content = member.split(":", 2)
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode, info.mtime = int(mode.split("@")[0], 8), 1700000000
            if "@" in mode:
                info.uid = info.gid = int(mode.split("@")[1])
            data = unescape(content[0]) if content else b""
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def read_cases(path):
    cases, case, lines = [], None, open(path, newline="").read().split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "case":
            case = Case(rest, f"{path}:{number}")
            cases.append(case)
        elif word == "dockerfile":
            end = lines.index("end", number)
            case.dockerfile = "\n".join(lines[number:end]) + "\n"
            number = end + 1
        elif word == "args":
            case.args += shlex.split(rest)
        elif word == "ctx":
            case.ctx.append(shlex.split(rest))
        elif word == "rule":
            case.rule = rest
        elif word == "want":
            case.want(shlex.split(rest))
        elif word == "config":
            case.config.update(json.loads(rest))
        else:
            raise SystemExit(f"{path}:{number}: what is {word}?")
    return cases


# ---- images -----------------------------------------------------------------------------

def put(tree, path, entry):
    """An entry that is no directory takes away what was below that path."""
    if entry is None or entry[0] != "d":
        for below in [p for p in tree if p.startswith(path + "/")]:
            del tree[below]
    if entry is None:
        tree.pop(path, None)
    else:
        tree[path] = entry


def entry_of(tar, info, tree):
    mode, owner = f"{stat.S_IMODE(info.mode):o}", f"{info.uid}:{info.gid}"
    if info.isdir():
        entry = ["d", mode, owner]
    elif info.issym():
        entry = ["l", owner, info.linkname]
    elif info.islnk():
        return tree[info.linkname.lstrip("./")]
    elif info.isreg():
        entry = ["f", mode, owner, digest(tar.extractfile(info).read())]
    else:
        entry = ["x" + info.type.decode(), mode, owner]
    xattrs = sorted(f"{k[13:]}={v}" for k, v in info.pax_headers.items()
                    if k.startswith("SCHILY.xattr."))
    return entry + xattrs


def apply_layer(tree, data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        added = {}
        for info in tar:
            path = os.path.normpath(info.name).lstrip("/")
            parent, name = os.path.split(path)
            if path == ".":
                continue
            if name == ".wh..wh..opq":
                for below in [p for p in tree if p.startswith(parent + "/") and p not in added]:
                    del tree[below]
            elif name.startswith(".wh."):
                put(tree, os.path.join(parent, name[4:]), None)
            else:
                entry = entry_of(tar, info, tree)
                added[path] = entry
                put(tree, path, entry)


def read_image(archive):
    """docker-archive or OCI layout, as `docker save` and `comp image save` write."""
    tree = {}
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        config = json.load(tar.extractfile(manifest["Config"]))
        for layer in manifest["Layers"]:
            member = tar.getmember(layer)
            if member.issym():
                layer = os.path.normpath(os.path.join(os.path.dirname(layer), member.linkname))
            data = tar.extractfile(layer).read()
            apply_layer(tree, data)
    config = config.get("config") or {}
    kept = {key: config[key] for key in CONFIG_KEYS if config.get(key)}
    for path in list(tree):
        if any(path == p or path.startswith(p + "/") for p in ENGINE_PATHS):
            del tree[path]
    return {"tree": tree, "config": kept}


def difference(base, image):
    """What an image has that its base has not; None marks what is gone."""
    tree = {p: e for p, e in sorted(image["tree"].items()) if base["tree"].get(p) != e}
    tree.update({p: None for p in base["tree"] if p not in image["tree"]})
    keys = set(base["config"]) | set(image["config"])
    config = {k: image["config"].get(k) for k in sorted(keys)
              if image["config"].get(k) != base["config"].get(k)}
    return {"tree": tree, "config": config}
