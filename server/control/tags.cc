// TagResource, UntagResource, ListTagsForResource.
#include "server/control/tags.h"

#include <algorithm>
#include <map>

#include "common/ids.h"
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/validate.h"

namespace tarn::control {

std::string NameTag(const Tags& tags) {
  for (const v1::Tag& tag : tags) {
    if (tag.key() == "Name") return tag.value();
  }
  return "";
}

bool DelegationsTag(const Tags& tags) {
  return std::any_of(tags.begin(), tags.end(), [](const v1::Tag& tag) {
    return tag.key() == kDelegationsTag && tag.value() == "on";
  });
}

Result<void> Manager::ChangeTags(const std::string& id,
                                 const std::function<Result<void>(Tags& tags)>& change) {
  // A copy is changed and written, then put in place: an error changes nothing.
  auto apply = [&](auto& target) -> Result<void> {
    auto record = target.record;
    auto& description = *record.mutable_description();
    TRY(change(*description.mutable_tags()));
    TRY(CheckTags(description.tags()));
    description.set_name(NameTag(description.tags()));
    if constexpr (std::is_same_v<decltype(record), records::AccessPoint>) {
      TRY(Put(*target.file_system, record));
    } else {
      TRY(store_.Put(record));
    }
    target.record = std::move(record);
    return Ok();
  };
  std::lock_guard lock(mutex_);
  if (id.starts_with(kAccessPointPrefix)) {
    TRY(AccessPointPtr ap, FindAccessPoint(id));
    return apply(*ap);
  }
  if (!id.starts_with(kFileSystemPrefix)) {
    return BadRequest("resource_id '" + id +
                      "' must be a file system's (fs-) or an access point's (fsap-)");
  }
  TRY(FileSystemPtr fs, FindFileSystem(id));
  TRY(apply(*fs));
  exports_.SetDelegations(fs->record.number(), DelegationsTag(fs->record.description().tags()));
  return Ok();
}

Result<v1::Empty> Manager::TagResource(const v1::TagResourceRequest& request) {
  TRY(CheckTags(request.tags()));
  if (request.tags().empty()) return BadRequest("tags: give at least one");
  TRY(ChangeTags(request.resource_id(), [&](Tags& tags) -> Result<void> {
    for (const v1::Tag& tag : request.tags()) {
      auto old = std::find_if(tags.begin(), tags.end(),
                              [&](const v1::Tag& t) { return t.key() == tag.key(); });
      if (old != tags.end()) {
        *old = tag;
      } else {
        *tags.Add() = tag;
      }
    }
    return Ok();
  }));
  return v1::Empty();
}

Result<v1::Empty> Manager::UntagResource(const v1::UntagResourceRequest& request) {
  if (request.tag_keys().empty()) return BadRequest("tag_keys: give at least one");
  for (const std::string& key : request.tag_keys()) TRY(CheckTagKey(key));
  TRY(ChangeTags(request.resource_id(), [&](Tags& tags) -> Result<void> {
    auto gone = std::remove_if(tags.begin(), tags.end(), [&](const v1::Tag& tag) {
      return std::count(request.tag_keys().begin(), request.tag_keys().end(), tag.key()) != 0;
    });
    tags.erase(gone, tags.end());
    return Ok();
  }));
  return v1::Empty();
}

Result<v1::ListTagsForResourceResponse> Manager::ListTagsForResource(
    const v1::ListTagsForResourceRequest& request) {
  TRY(uint32_t page, PageSize("max_results", request.max_results()));
  const std::string& id = request.resource_id();
  std::map<std::string, std::string> tags;
  auto collect = [&](const auto& record) {
    for (const v1::Tag& tag : record.description().tags()) tags[tag.key()] = tag.value();
  };
  {
    std::lock_guard lock(mutex_);
    if (id.starts_with(kAccessPointPrefix)) {
      TRY(AccessPointPtr ap, FindAccessPoint(id));
      collect(ap->record);
    } else {
      TRY(FileSystemPtr fs, FindFileSystem(id));
      collect(fs->record);
    }
  }
  v1::ListTagsForResourceResponse response;
  for (auto at = tags.upper_bound(request.next_token()); at != tags.end(); ++at) {
    if (static_cast<uint32_t>(response.tags_size()) == page) {
      response.set_next_token(response.tags(response.tags_size() - 1).key());
      break;
    }
    v1::Tag& tag = *response.add_tags();
    tag.set_key(at->first);
    tag.set_value(at->second);
  }
  return response;
}

}  // namespace tarn::control
