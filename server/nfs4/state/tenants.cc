#include "server/nfs4/state/tenants.h"

#include <utility>

namespace tarn::nfs4 {
namespace {

FairBound::Rule RuleFor(const StateBounds& bounds, bool returns) {
  if (!bounds.in_grace) return FairBound::Rule::kFair;
  return returns ? FairBound::Rule::kReturning : FairBound::Rule::kEarly;
}

}  // namespace

TenantPtr Tenants::Get(std::string_view name) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<Tenant>& known = tenants_[std::string(name)];
  TenantPtr tenant = known.lock();
  if (!tenant) known = tenant = std::make_shared<Tenant>(bounds_);
  return tenant;
}

void Tenants::Tick() {
  std::lock_guard lock(mutex_);
  std::erase_if(tenants_, [](const auto& entry) { return entry.second.expired(); });
}

bool Account::MayOpen(const Tenant& tenant, bool returns) {
  const StateBounds& bounds = *tenant.bounds;
  return bounds.clients.MayTake(tenant.clients, 1, RuleFor(bounds, returns));
}

Account::Account(TenantPtr tenant, bool returns) : returns_(returns), tenant_(std::move(tenant)) {
  tenant_->bounds->clients.TakeAnyway(tenant_->clients, 1);
}

Account::~Account() {
  tenant_->bounds->bytes.Give(tenant_->bytes, bytes_);
  tenant_->bounds->clients.Give(tenant_->clients, 1);
}

bool Account::Take(size_t bytes) {
  std::lock_guard lock(mutex_);
  StateBounds& bounds = *tenant_->bounds;
  if (!bounds.bytes.Take(tenant_->bytes, bytes, RuleFor(bounds, returns_))) return false;
  bytes_ += bytes;
  return true;
}

void Account::TakeAnyway(size_t bytes) {
  std::lock_guard lock(mutex_);
  tenant_->bounds->bytes.TakeAnyway(tenant_->bytes, bytes);
  bytes_ += bytes;
}

void Account::Give(size_t bytes) {
  std::lock_guard lock(mutex_);
  tenant_->bounds->bytes.Give(tenant_->bytes, bytes);
  bytes_ -= bytes;
}

void Account::MoveTo(TenantPtr tenant) {
  std::lock_guard lock(mutex_);
  StateBounds& bounds = *tenant_->bounds;
  bounds.clients.Give(tenant_->clients, 1);
  bounds.bytes.Give(tenant_->bytes, bytes_);
  tenant_ = std::move(tenant);
  bounds.clients.TakeAnyway(tenant_->clients, 1);
  bounds.bytes.TakeAnyway(tenant_->bytes, bytes_);
}

bool Account::tight() {
  std::lock_guard lock(mutex_);
  return tenant_->bounds->bytes.tight();
}

bool Account::MoreThanIsLeft() {
  std::lock_guard lock(mutex_);
  const StateBounds& bounds = *tenant_->bounds;
  return bounds.clients.MoreThanIsLeft(tenant_->clients) ||
         bounds.bytes.MoreThanIsLeft(tenant_->bytes);
}

}  // namespace tarn::nfs4
