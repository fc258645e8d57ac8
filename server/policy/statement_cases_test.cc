// What statements say and how they go together: Effect, Principal, Action, Resource.
#include <gtest/gtest.h>

#include "server/policy/testing/cases.h"

namespace tarn::policy {
namespace {

#define TO(principal) "{'Effect':'Allow','Action':'*','Principal':" principal "}"
#define NOT_TO(principal) "{'Effect':'Deny','Action':'*','NotPrincipal':" principal "}"
#define DO(action) "{'Effect':'Allow','Principal':'*','Action':" action "}"
#define DO_NOT(action) "{'Effect':'Deny','Principal':'*','Action':" action "}"
#define DO_BUT(action) "{'Effect':'Allow','Principal':'*','NotAction':" action "}"
#define ON(resource) ALLOW ",'Resource':" resource "}"
#define ON_BUT(resource) ALLOW ",'NotResource':" resource "}"
#define ARN "arn:aws:elasticfilesystem:local:000000000000:"
#define MOUNT "'elasticfilesystem:ClientMount'"
#define WRITE "'elasticfilesystem:ClientWrite'"
#define ROOT "'elasticfilesystem:ClientRootAccess'"

constexpr Case kEffects[] = {
    {"allow", "a statement that applies allows", ALLOW_ALL, "", "mwr"},
    {"deny alone", "without an Allow all is denied", DENY_ALL, "", "---"},
    {"implicit deny", "what no statement allows is denied", DO(MOUNT), "", "m--"},
    {"deny after allow", "an explicit Deny overrides an Allow", ALLOW_ALL "," DENY_ALL, "", "---"},
    {"deny before allow", "order does not matter", DENY_ALL "," ALLOW_ALL, "", "---"},
    {"deny of one action", "a Deny denies its actions only", ALLOW_ALL "," DO_NOT(WRITE), "",
     "m-r"},
    {"deny twice allowed", "one Deny beats any number of Allows",
     ALLOW_ALL "," ALLOW_ALL "," DO_NOT(ROOT) "," ALLOW_ALL, "", "mw-"},
    {"allows add up", "each Allow gives its actions", DO(MOUNT) "," DO(WRITE), "", "mw-"},
    {"allow twice", "an action may be allowed twice", DO(MOUNT) "," DO(MOUNT), "", "m--"},
    {"deny twice", "an action may be denied twice", ALLOW_ALL "," DO_NOT(WRITE) "," DO_NOT(WRITE),
     "", "m-r"},
    {"allow that fails", "a statement whose condition fails does not count",
     ALLOW_IF("'Bool':{'aws:SecureTransport':'true'}"), "", "---"},
    {"deny that fails", "so it is with a Deny",
     ALLOW_ALL "," DENY_IF("'Bool':{'aws:SecureTransport':'true'}"), "", "mwr"},
    {"deny for another principal", "a Deny denies its principals only",
     ALLOW_ALL ",{'Effect':'Deny','Principal':{'ServiceAccount':'a/web'},'Action':'*'}",
     "sa=a/batch", "mwr"},
    {"one statement as object", "a single statement needs no list",
     "{'Version':'2012-10-17','Statement':" ALLOW_ALL "}", "", "mwr"},
    {"version 2008", "the older version is allowed",
     "{'Version':'2008-10-17','Statement':[" ALLOW_ALL "]}", "", "mwr"},
    {"no version", "the version may be absent", "{'Statement':[" ALLOW_ALL "]}", "", "mwr"},
    {"with ids", "Id and Sid decide nothing",
     "{'Version':'2012-10-17','Id':'efs-policy-wizard-15ad9567','Statement':[{'Sid':"
     "'efs-statement-1c5dfc2e','Effect':'Allow','Principal':'*','Action':" MOUNT "}]}",
     "", "m--"},
    {"elements in any order", "the order of elements does not matter",
     "{'Action':" MOUNT ",'Principal':'*','Resource':'*','Effect':'Allow'}", "", "m--"},
};

constexpr Case kPrincipals[] = {
    {"star is anonymous", "* is everybody, anonymous too", TO("'*'"), "", "mwr"},
    {"star is identified", "* is everybody", TO("'*'"), "sa=a/web", "mwr"},
    {"aws star", "{AWS: *} means the same as *", TO("{'AWS':'*'}"), "", "mwr"},
    {"aws star list", "a list may have one", TO("{'AWS':['*']}"), "sa=a/web", "mwr"},
    {"named", "a ServiceAccount by its name", TO("{'ServiceAccount':'a/web'}"), "sa=a/web", "mwr"},
    {"named, other name", "another name is another principal", TO("{'ServiceAccount':'a/web'}"),
     "sa=a/batch", "---"},
    {"named, other namespace", "another namespace is another principal",
     TO("{'ServiceAccount':'a/web'}"), "sa=b/web", "---"},
    {"named, anonymous", "who shows no identity is nobody named", TO("{'ServiceAccount':'a/web'}"),
     "", "---"},
    {"named, longer name", "names are compared whole", TO("{'ServiceAccount':'a/web'}"),
     "sa=a/web2", "---"},
    {"named, case", "names are compared with their case", TO("{'ServiceAccount':'a/web'}"),
     "sa=a/Web", "---"},
    {"several", "a list is an or", TO("{'ServiceAccount':['a/web','b/web']}"), "sa=b/web", "mwr"},
    {"several, none", "who is not in the list is not meant",
     TO("{'ServiceAccount':['a/web','b/web']}"), "sa=c/web", "---"},
    {"namespace", "all of a namespace", TO("{'ServiceAccount':'a/*'}"), "sa=a/batch", "mwr"},
    {"namespace, other", "and of no other", TO("{'ServiceAccount':'a/*'}"), "sa=b/batch", "---"},
    {"namespace, prefix", "namespaces are compared whole", TO("{'ServiceAccount':'a/*'}"),
     "sa=ab/batch", "---"},
    {"namespace, anonymous", "who shows no identity is in no namespace",
     TO("{'ServiceAccount':'a/*'}"), "", "---"},
    {"any account", "any verified ServiceAccount", TO("{'ServiceAccount':'*'}"), "sa=z/y", "mwr"},
    {"any account, anonymous", "but no anonymous client", TO("{'ServiceAccount':'*'}"), "", "---"},
    {"another cluster's", "a name alone is of this cluster", TO("{'ServiceAccount':'a/web'}"),
     "sa=east:a/web", "---"},
    {"another cluster's namespace", "as is a namespace", TO("{'ServiceAccount':'a/*'}"),
     "sa=east:a/web", "---"},
    {"cluster named", "another cluster's account by its whole name",
     TO("{'ServiceAccount':'east:a/web'}"), "sa=east:a/web", "mwr"},
    {"cluster named, own", "is none of this one", TO("{'ServiceAccount':'east:a/web'}"), "sa=a/web",
     "---"},
    {"cluster named, other", "and none of a third", TO("{'ServiceAccount':'east:a/web'}"),
     "sa=west:a/web", "---"},
    {"cluster's namespace", "all of a namespace there", TO("{'ServiceAccount':'east:a/*'}"),
     "sa=east:a/x", "mwr"},
    {"cluster's namespace, other", "and of no other", TO("{'ServiceAccount':'east:a/*'}"),
     "sa=east:b/x", "---"},
    {"whole cluster", "all of a cluster", TO("{'ServiceAccount':'east:*'}"), "sa=east:q/r", "mwr"},
    {"whole cluster, other", "clusters are compared whole", TO("{'ServiceAccount':'east:*'}"),
     "sa=east2:q/r", "---"},
    {"whole cluster, own", "a namespace is no cluster", TO("{'ServiceAccount':'east:*'}"),
     "sa=east/r", "---"},
    {"any account of any cluster", "* is any verified ServiceAccount", TO("{'ServiceAccount':'*'}"),
     "sa=east:a/web", "mwr"},
    {"user", "a principal of AWS by its ARN", TO("{'AWS':'arn:aws:iam::111122223333:user/u'}"),
     "aws=arn:aws:iam::111122223333:user/u", "mwr"},
    {"user, other", "names are compared whole", TO("{'AWS':'arn:aws:iam::111122223333:user/u'}"),
     "aws=arn:aws:iam::111122223333:user/u2", "---"},
    {"user, other account", "in their account", TO("{'AWS':'arn:aws:iam::111122223333:user/u'}"),
     "aws=arn:aws:iam::444455556666:user/u", "---"},
    {"user, account", "an account's number is all of the account", TO("{'AWS':'111122223333'}"),
     "aws=arn:aws:iam::111122223333:role/r", "mwr"},
    {"user, root", "as is its root", TO("{'AWS':'arn:aws:iam::111122223333:root'}"),
     "aws=arn:aws:iam::111122223333:user/u", "mwr"},
    {"user, another account", "and of no other", TO("{'AWS':'111122223333'}"),
     "aws=arn:aws:iam::444455556666:user/u", "---"},
    {"user, everybody", "* is everybody", TO("{'AWS':'*'}"), "aws=arn:aws:iam::111122223333:user/u",
     "mwr"},
    {"user, any account", "a user is no ServiceAccount", TO("{'ServiceAccount':'*'}"),
     "aws=arn:aws:iam::111122223333:user/u", "---"},
    {"user, service account", "nor the other way round",
     TO("{'AWS':'arn:aws:iam::111122223333:user/u'}"), "sa=a/web", "---"},
    {"kinds add up", "several kinds are an or", TO("{'AWS':'*','ServiceAccount':'a/web'}"), "",
     "mwr"},
    {"dotted name", "ServiceAccounts may have dots", TO("{'ServiceAccount':'a/web.v2'}"),
     "sa=a/web.v2", "mwr"},
    {"not principal, listed", "NotPrincipal spares those it lists",
     ALLOW_ALL "," NOT_TO("{'ServiceAccount':'a/web'}"), "sa=a/web", "mwr"},
    {"not principal, other", "and means all others",
     ALLOW_ALL "," NOT_TO("{'ServiceAccount':'a/web'}"), "sa=a/batch", "---"},
    {"not principal, anonymous", "also anonymous ones",
     ALLOW_ALL "," NOT_TO("{'ServiceAccount':'a/web'}"), "", "---"},
    {"not principal, several", "a list spares each in it",
     ALLOW_ALL "," NOT_TO("{'ServiceAccount':['a/web','b/*']}"), "sa=b/x", "mwr"},
    {"not principal, any account", "all but anonymous ones are spared",
     ALLOW_ALL "," NOT_TO("{'ServiceAccount':'*'}"), "sa=q/r", "mwr"},
    {"not principal denies anonymous", "which enforces identity",
     ALLOW_ALL "," NOT_TO("{'ServiceAccount':'*'}"), "", "---"},
    {"allow to not principal", "Allow with NotPrincipal allows all others, anonymous too",
     "{'Effect':'Allow','NotPrincipal':{'ServiceAccount':'a/web'},'Action':'*'}", "", "mwr"},
    {"allow to not principal, listed", "and not those it lists",
     "{'Effect':'Allow','NotPrincipal':{'ServiceAccount':'a/web'},'Action':'*'}", "sa=a/web",
     "---"},
    {"writer and reader", "statements for several principals",
     "{'Effect':'Allow','Principal':{'ServiceAccount':'a/*'},'Action':[" MOUNT "," WRITE "]},"
     "{'Effect':'Allow','Principal':{'ServiceAccount':'b/*'},'Action':" MOUNT "}",
     "sa=a/x", "mw-"},
    {"writer and reader, reader", "each has its own rights",
     "{'Effect':'Allow','Principal':{'ServiceAccount':'a/*'},'Action':[" MOUNT "," WRITE "]},"
     "{'Effect':'Allow','Principal':{'ServiceAccount':'b/*'},'Action':" MOUNT "}",
     "sa=b/x", "m--"},
    {"writer and reader, third", "others have none",
     "{'Effect':'Allow','Principal':{'ServiceAccount':'a/*'},'Action':[" MOUNT "," WRITE "]},"
     "{'Effect':'Allow','Principal':{'ServiceAccount':'b/*'},'Action':" MOUNT "}",
     "sa=c/x", "---"},
};

constexpr Case kActions[] = {
    {"mount", "one action", DO(MOUNT), "", "m--"},
    {"write", "an action gives no other", DO(WRITE), "", "-w-"},
    {"root", "an action gives no other", DO(ROOT), "", "--r"},
    {"list", "a list is an or", DO("[" MOUNT "," ROOT "]"), "", "m-r"},
    {"star", "* is every action", DO("'*'"), "", "mwr"},
    {"service star", "so is the service's *", DO("'elasticfilesystem:*'"), "", "mwr"},
    {"client star", "* within a name", DO("'elasticfilesystem:Client*'"), "", "mwr"},
    {"suffix", "* before a name's end", DO("'elasticfilesystem:*Write'"), "", "-w-"},
    {"middle", "* in the middle", DO("'elasticfilesystem:C*t'"), "", "m--"},
    {"two stars", "several *", DO("'elasticfilesystem:*Root*'"), "", "--r"},
    {"question mark", "? is one character", DO("'elasticfilesystem:ClientM?unt'"), "", "m--"},
    {"question marks", "as many as there are", DO("'elasticfilesystem:Client\?\?\?\?\?'"), "",
     "mw-"},
    {"lower case", "actions are compared without case", DO("'elasticfilesystem:clientmount'"), "",
     "m--"},
    {"upper case", "also the service", DO("'ELASTICFILESYSTEM:CLIENTWRITE'"), "", "-w-"},
    {"lower case, wildcard", "also with wildcards", DO("'ElasticFileSystem:client*s'"), "", "--r"},
    {"repeated", "an action may stand there twice", DO("[" MOUNT "," MOUNT "]"), "", "m--"},
    {"not action", "NotAction is all but the listed", DO_BUT(WRITE), "", "m-r"},
    {"not action, list", "all but each in the list", DO_BUT("[" WRITE "," ROOT "]"), "", "m--"},
    {"not action, wildcard", "also by wildcards", DO_BUT("'elasticfilesystem:*s'"), "", "mw-"},
    {"not action, case", "without case", DO_BUT("'elasticfilesystem:CLIENTROOTACCESS'"), "", "mw-"},
    {"deny not action", "Deny with NotAction denies all else",
     ALLOW_ALL ",{'Effect':'Deny','Principal':'*','NotAction':" MOUNT "}", "", "m--"},
    {"not action is no allow", "what NotAction lists is not denied by it, nor allowed",
     DO_BUT(WRITE) "," DO_BUT(WRITE), "", "m-r"},
    {"not action and action", "another statement may allow it", DO_BUT(WRITE) "," DO(WRITE), "",
     "mwr"},
    {"deny wildcard", "a Deny with a wildcard", ALLOW_ALL "," DO_NOT("'elasticfilesystem:*'"), "",
     "---"},
};

constexpr Case kResources[] = {
    {"no resource", "EFS lets it out: the policy's own file system", ALLOW_ALL, "", "mwr"},
    {"star resource", "* is every resource", ON("'*'"), "", "mwr"},
    {"own arn", "the file system's ARN", ON("'" ARN "file-system/fs-0123456789abcdef0'"), "",
     "mwr"},
    {"own arn, access point", "by an access point it is still that file system",
     ON("'" ARN "file-system/fs-0123456789abcdef0'"), "ap", "mwr"},
    {"own id", "the id alone", ON("'fs-0123456789abcdef0'"), "", "mwr"},
    {"own id, pattern", "with wildcards", ON("'fs-0123*'"), "", "mwr"},
    {"id question mark", "? is one character", ON("'fs-?123456789abcdef0'"), "", "mwr"},
    {"any file system", "* for the id", ON("'" ARN "file-system/*'"), "", "mwr"},
    {"any region", "* for a part", ON("'arn:aws:elasticfilesystem:*:000000000000:file-system/*'"),
     "", "mwr"},
    {"any account", "* for several parts", ON("'arn:aws:elasticfilesystem:*:*:file-system/fs-*'"),
     "", "mwr"},
    {"any partition", "the partition too", ON("'arn:*:elasticfilesystem:*:*:file-system/fs-*'"), "",
     "mwr"},
    {"star reaches on", "a part's last * reaches over colons", ON("'arn:aws:elasticfilesystem:*'"),
     "", "mwr"},
    {"access point arn", "an access point's ARN",
     ON("'" ARN "access-point/fsap-0123456789abcdef0'"), "ap", "mwr"},
    {"access point arn, other", "not of another access point",
     ON("'" ARN "access-point/fsap-0123456789abcdef0'"), "ap=fsap-77777777", "---"},
    {"access point arn, root", "not without one",
     ON("'" ARN "access-point/fsap-0123456789abcdef0'"), "", "---"},
    {"access point id", "its id alone", ON("'fsap-0123456789abcdef0'"), "ap", "mwr"},
    {"any access point", "any of them, but not the root", ON("'" ARN "access-point/*'"), "", "---"},
    {"any access point, by one", "any of them", ON("'" ARN "access-point/*'"), "ap=fsap-1", "mwr"},
    {"either", "a list is an or", ON("['fsap-1','fsap-2']"), "ap=fsap-2", "mwr"},
    {"neither", "none of the list", ON("['fsap-1','fsap-2']"), "ap=fsap-3", "---"},
    {"case", "resources are compared with their case", ON("'" ARN "access-point/FSAP-1'"),
     "ap=fsap-1", "---"},
    {"other account", "another account's is another",
     ON("'arn:aws:elasticfilesystem:local:1:"
        "access-point/*'"),
     "ap", "---"},
    {"deny one access point", "a Deny of one access point",
     ALLOW_ALL "," DENY ",'Resource':'fsap-1'}", "ap=fsap-1", "---"},
    {"deny one access point, other", "spares the others",
     ALLOW_ALL "," DENY ",'Resource':'fsap-1'}", "ap=fsap-2", "mwr"},
    {"not resource", "NotResource is all but the listed", ON_BUT("'fsap-1'"), "ap=fsap-2", "mwr"},
    {"not resource, listed", "not those", ON_BUT("'fsap-1'"), "ap=fsap-1", "---"},
    {"not resource, root", "the root is not listed", ON_BUT("'fsap-1'"), "", "mwr"},
    {"not resource, pattern", "by wildcards", ON_BUT("'" ARN "access-point/*'"), "ap", "---"},
    {"deny not resource", "only by that access point",
     ALLOW_ALL "," DENY ",'NotResource':'fsap-1'}", "", "---"},
    {"deny not resource, listed", "which is spared", ALLOW_ALL "," DENY ",'NotResource':'fsap-1'}",
     "ap=fsap-1", "mwr"},
    {"not own file system", "by an access point it is that file system too",
     ON_BUT("'fs-0123456789abcdef0'"), "ap", "---"},
};

TEST(PolicyCases, Effects) {
  Check(kEffects);
}
TEST(PolicyCases, Principals) {
  Check(kPrincipals);
}
TEST(PolicyCases, Actions) {
  Check(kActions);
}
TEST(PolicyCases, Resources) {
  Check(kResources);
}

}  // namespace
}  // namespace tarn::policy
