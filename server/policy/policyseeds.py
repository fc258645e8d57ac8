"""Writes seeds for policy_fuzz: policyseeds.py FOLDER.

Each is a policy of words that policies have,
after a request as policy_fuzz.cc reads it.
"""

import json
import pathlib
import random
import sys

ACCOUNTS = ["*", "a/*", "a/web", ["a/db", "b/x.y"], "east:a/web", "east:*"]
USERS = ["arn:aws:iam::111122223333:user/u", ["111122223333", "arn:aws:iam::111122223333:root"]]
ACTIONS = ["*", "elasticfilesystem:ClientMount", "elasticfilesystem:Client*",
           ["elasticfilesystem:clientwrite", "elasticfilesystem:ClientRoot??????"]]
RESOURCES = ["*", "fs-1", "fsap-${tarn:Namespace, 'x'}", "arn:aws:elasticfilesystem:*",
             "arn:aws:elasticfilesystem:*:*:access-point/fsap-?"]
CONDITIONS = [
    ("Bool", "aws:SecureTransport", True),
    ("BoolIfExists", "elasticfilesystem:AccessedViaMountTarget", ["true", "false"]),
    ("StringNotEquals", "tarn:Namespace", ["a", "${tarn:Pod}"]),
    ("StringLike", "tarn:Pod", "${tarn:ServiceAccount}-?*"),
    ("StringEqualsIgnoreCase", "aws:PrincipalType", "${$}{${*}${?}"),
    ("NotIpAddress", "aws:SourceIp", ["10.0.0.0/8", "fd00::/8", "::ffff:1.2.3.4"]),
    ("ArnNotLike", "elasticfilesystem:AccessPointArn", "arn:*:*:*:*:access-point/*1*2*"),
    ("ForAnyValue:StringLike", "tarn:Groups", ["*:*", "ops"]),
    ("ForAllValues:StringNotLikeIfExists", "tarn:Groups", "o*x?z"),
    ("Null", "tarn:Pod", "true"),
    ("DateLessThan", "aws:CurrentTime", "2026-11-27T15:04:05.5+01:00"),
    ("NumericGreaterThanEquals", "aws:EpochTime", [1.5e9, "17"]),
]


def statement(source):
    made = {"Effect": source.choice(["Allow", "Deny"])}
    kind = source.choice(["ServiceAccount", "ServiceAccount", "AWS"])
    made[source.choice(["Principal", "NotPrincipal"])] = {
        kind: source.choice(USERS if kind == "AWS" else ACCOUNTS)}
    if source.random() < 0.3:
        made.pop("NotPrincipal", None)
        made["Principal"] = source.choice(["*", {"AWS": "*"}])
    made[source.choice(["Action", "NotAction"])] = source.choice(ACTIONS)
    if source.random() < 0.5:
        made[source.choice(["Resource", "NotResource"])] = source.choice(RESOURCES)
    if source.random() < 0.8:
        made["Condition"] = {}
        for operator, key, values in source.sample(CONDITIONS, source.randint(1, 3)):
            made["Condition"][operator] = {key: values}
    return made


def main():
    source = random.Random(1)
    for i in range(120):
        policy = {"Version": source.choice(["2012-10-17", "2008-10-17"]), "Id": "seed"}
        policy["Statement"] = [statement(source) for _ in range(source.randint(1, 3))]
        words = [source.choice(["", "a/web", "b/x.y"]), source.choice(["", "a/web-1"]),
                 source.choice(["", "arn:aws:elasticfilesystem:r:1:access-point/fsap-1"]),
                 source.choice(["", "10.0.0.1", "fd00::1"]), source.choice(["", "ops"])]
        seed = bytes([source.randrange(256)]) + "\0".join(words + [json.dumps(policy)]).encode()
        pathlib.Path(sys.argv[1], f"seed-{i}").write_bytes(seed)


main()
