//! Whose things a caller may see and change: everybody's, or those of one tenant.
//!
//! A tenant's name is the beginning of the names of its resources: `acme--idg` is the `idg` of
//! `acme`. Not here: keeping to it (`seen/` does for what is read, `intents.rs` for what is
//! changed). The surprise: it is written down nowhere else. Names are part of what a plan makes,
//! so two tenants that call a resource the same do not meet in the cloud account either, and
//! a resource cannot change hands without changing its name.

use std::sync::Arc;

use crate::{records::ResourceKey, resource::label_fault};

/// Stands between a tenant and the rest of a resource's name.
const SEPARATOR: &str = "--";

/// How long a tenant's name may be: it is part of each name, and those have bounds of their own.
const MAX_TENANT: usize = 16;

/// Whose things a caller may see and change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Scope(Option<Arc<str>>);

impl Scope {
    /// Everybody's, and what is nobody's.
    pub(crate) const WHOLE: Self = Self(None);

    /// One tenant's alone.
    pub(crate) fn of(tenant: &str) -> Self {
        Self(Some(tenant.into()))
    }

    /// That of a resource's tenant; everything if it has none.
    pub(crate) fn around(resource: &ResourceKey) -> Self {
        resource.tenant().map_or(Self::WHOLE, Self::of)
    }

    /// The tenant, if it is one's alone.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether the resource is in it.
    pub(crate) fn holds(&self, resource: &ResourceKey) -> bool {
        self.0.is_none() || resource.tenant() == self.tenant()
    }

    /// The resource that a caller means by a name. A tenant may leave its own name out.
    pub(crate) fn key(&self, kind: &str, name: &str) -> ResourceKey {
        match self.tenant() {
            Some(tenant) if !name.contains(SEPARATOR) => {
                ResourceKey::new(kind, format!("{tenant}{SEPARATOR}{name}"))
            }
            _ => ResourceKey::new(kind, name),
        }
    }

    /// The same of a text such as `clusters/idg`.
    pub(crate) fn parse(&self, text: &str) -> Option<ResourceKey> {
        ResourceKey::parse(text).map(|key| self.key(&key.kind, &key.name))
    }

    /// Why nobody in this scope can make a resource of this whole name; none if they can.
    pub(crate) fn name_fault(&self, name: &str) -> Option<String> {
        match (self.tenant(), name.split_once(SEPARATOR)) {
            (Some(tenant), Some((other, _))) if other != tenant => {
                Some(format!("the names of your resources begin with {tenant}{SEPARATOR}"))
            }
            (_, Some((_, rest))) if rest.contains(SEPARATOR) => {
                Some(format!("{SEPARATOR} stands between a tenant and a name, once"))
            }
            (_, Some((tenant, rest))) => label_fault(name)
                .or_else(|| tenant_fault(tenant))
                .or_else(|| label_fault(rest).map(|why| format!("after {SEPARATOR}: {why}"))),
            (_, None) => label_fault(name),
        }
    }

    /// What the names of a kind's resources in it begin with.
    pub(crate) fn prefix(&self) -> String {
        self.tenant().map(|tenant| format!("{tenant}{SEPARATOR}")).unwrap_or_default()
    }
}

/// The tenant of a resource, by its name.
pub(crate) fn tenant_of(name: &str) -> Option<&str> {
    name.split_once(SEPARATOR).map(|(tenant, _)| tenant)
}

/// Why a text cannot be a tenant's name; none if it can.
pub(crate) fn tenant_fault(name: &str) -> Option<String> {
    if name.len() > MAX_TENANT {
        return Some(format!("a tenant's name has at most {MAX_TENANT} characters"));
    }
    if name.contains(SEPARATOR) {
        return Some(format!("a tenant's name has no {SEPARATOR} in it"));
    }
    label_fault(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_may_leave_its_name_out_and_nobody_elses_in() {
        let acme = Scope::of("acme");
        assert_eq!(acme.key("toys", "car").to_string(), "toys/acme--car");
        assert_eq!(acme.key("toys", "acme--car").to_string(), "toys/acme--car");
        assert_eq!(acme.key("toys", "other--car").to_string(), "toys/other--car");
        assert_eq!(Scope::WHOLE.key("toys", "car").to_string(), "toys/car");
        for (held, name) in
            [(true, "acme--car"), (false, "car"), (false, "other--car"), (false, "acme-x--car")]
        {
            assert_eq!(acme.holds(&ResourceKey::new("toys", name)), held, "{name}");
            assert!(Scope::WHOLE.holds(&ResourceKey::new("toys", name)));
        }
    }

    #[test]
    fn a_name_tells_one_tenant_or_none() {
        let (whole, acme) = (Scope::WHOLE, Scope::of("acme"));
        for good in ["car", "a-car", "acme--car", "other--a-car"] {
            assert_eq!(whole.name_fault(good), None, "{good}");
        }
        assert_eq!(acme.name_fault("acme--car"), None);
        for bad in ["", "--car", "acme--", "acme---car", "a--b--c", "1--car", "a_b--car", "acme--1"]
        {
            assert!(whole.name_fault(bad).is_some(), "{bad}");
            assert!(acme.name_fault(bad).is_some(), "{bad}");
        }
        assert!(acme.name_fault("other--car").is_some_and(|why| why.ends_with("acme--")));
        assert!(whole.name_fault(&format!("{}--car", "a".repeat(17))).is_some());
    }

    #[test]
    fn a_tenant_is_a_short_label() {
        for good in ["a", "acme", "acme-2"] {
            assert_eq!(tenant_fault(good), None, "{good}");
        }
        for bad in ["", "A", "1a", "a--b", "a-", "a/b", "a".repeat(17).as_str()] {
            assert!(tenant_fault(bad).is_some(), "{bad}");
        }
    }
}
