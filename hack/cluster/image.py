#!/usr/bin/env python3
"""image.py ROOT NAME:TAG OUT.tar [--user UID:GID] COMMAND...: a container image, made
from a root directory, as a docker-archive of one layer. The same files give the same bytes."""
import argparse
import hashlib
import io
import json
import os
import tarfile


def layer_of(root):
    """The root directory as an uncompressed tar, owned by root, without times."""
    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = 'root'
        return entry
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(os.listdir(root)):
            tar.add(os.path.join(root, name), arcname=name, filter=plain)
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root')
    parser.add_argument('name')
    parser.add_argument('out')
    parser.add_argument('--user', default='')
    parser.add_argument('command', nargs=argparse.REMAINDER)
    args = parser.parse_args()

    layer = layer_of(args.root)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        'architecture': 'amd64', 'os': 'linux', 'created': '1970-01-01T00:00:00Z',
        'config': {'Env': ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], 'Entrypoint': args.command,
                   'WorkingDir': '/', 'User': args.user},
        'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{digest}']},
        'history': [{'created_by': 'image.py'}],
    }).encode()
    config_name = f'{hashlib.sha256(config).hexdigest()}.json'
    layer_name = f'{digest}/layer.tar'
    manifest = json.dumps([
        {'Config': config_name, 'RepoTags': [args.name], 'Layers': [layer_name]}]).encode()
    with tarfile.open(args.out + '.new', 'w') as tar:
        for name, data in (
                (config_name, config), (layer_name, layer), ('manifest.json', manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    os.replace(args.out + '.new', args.out)
    print(f'{args.name}: {len(layer) / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
