//! Describe calls: which entities a caller sees, by id, filter and page.
//!
//! Not for how they are written. The surprise: an entity younger than its consistency lag is not
//! there at all, not even for a caller who knows its id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::call::Call;
use super::clock::Time;
use super::entities::Entity;
use super::glob;
use super::params::Params;
use super::refusal::Refusal;
use super::world::{Region, Table};

/// Largest page that EC2 gives out.
const PAGE: usize = 1000;

/// What a filter may look at besides the entity itself.
pub(super) struct View<'a> {
    pub(super) region: &'a Region,
    pub(super) now: Time,
}

/// A filter's name and the values an entity has under it.
pub(super) type Filter<T> = (&'static str, fn(&T, &View<'_>) -> Vec<String>);

/// How the ids of a kind look and what EC2 says to wrong ones.
pub(super) struct Ids {
    pub(super) prefix: &'static str,
    pub(super) malformed: &'static str,
    pub(super) not_found: &'static str,
}

pub(super) const VPC: Ids =
    Ids { prefix: "vpc", malformed: "InvalidVpcID.Malformed", not_found: "InvalidVpcID.NotFound" };
pub(super) const SUBNET: Ids = Ids {
    prefix: "subnet",
    malformed: "InvalidSubnetID.Malformed",
    not_found: "InvalidSubnetID.NotFound",
};
pub(super) const GATEWAY: Ids = Ids {
    prefix: "igw",
    malformed: "InvalidInternetGatewayId.Malformed",
    not_found: "InvalidInternetGatewayID.NotFound",
};
pub(super) const ROUTE_TABLE: Ids = Ids {
    prefix: "rtb",
    malformed: "InvalidRouteTableId.Malformed",
    not_found: "InvalidRouteTableID.NotFound",
};
pub(super) const GROUP: Ids =
    Ids { prefix: "sg", malformed: "InvalidGroupId.Malformed", not_found: "InvalidGroup.NotFound" };
pub(super) const INSTANCE: Ids = Ids {
    prefix: "i",
    malformed: "InvalidInstanceID.Malformed",
    not_found: "InvalidInstanceID.NotFound",
};
pub(super) const VOLUME: Ids = Ids {
    prefix: "vol",
    malformed: "InvalidVolumeID.Malformed",
    not_found: "InvalidVolume.NotFound",
};
pub(super) const INTERFACE: Ids = Ids {
    prefix: "eni",
    malformed: "InvalidNetworkInterfaceId.Malformed",
    not_found: "InvalidNetworkInterfaceID.NotFound",
};

impl Ids {
    /// Refuses ids that cannot exist.
    pub(super) fn check(&self, id: &str) -> Result<(), Refusal> {
        let well_formed =
            id.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(
                |hex| matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| b.is_ascii_hexdigit()),
            );
        if well_formed {
            return Ok(());
        }
        let expecting = format!("expecting \"{}-...\"", self.prefix);
        Err(Refusal::new(self.malformed, format!("Invalid id: \"{id}\" ({expecting})")))
    }

    /// Builds the answer to an id that nobody has.
    pub(super) fn unknown(&self, id: &str) -> Refusal {
        Refusal::new(self.not_found, format!("The {} ID '{id}' does not exist", self.prefix))
    }

    /// Finds an entity to work with; consistency lag does not hide it from changes.
    pub(super) fn find<'t, T>(&self, table: &'t Table<T>, id: &str) -> Result<&'t T, Refusal> {
        self.check(id)?;
        table.get(id).ok_or_else(|| self.unknown(id))
    }

    /// Finds an entity to change.
    pub(super) fn find_mut<'t, T>(
        &self,
        table: &'t mut Table<T>,
        id: &str,
    ) -> Result<&'t mut T, Refusal> {
        self.check(id)?;
        table.get_mut(id).ok_or_else(|| self.unknown(id))
    }
}

/// Selects from a table what a Describe call asked for, without paging.
pub(super) fn select<'t, T: Entity>(
    call: &Call<'_>,
    table: &'t Table<T>,
    ids: &Ids,
    parameter: &str,
    filters: &[Filter<T>],
) -> Result<Vec<&'t T>, Refusal> {
    let wanted = call.params.texts(parameter);
    for id in &wanted {
        ids.check(id)?;
        let seen = table.get(id).is_some_and(|entity| entity.seen_from() <= call.now);
        if !seen && !call.empty {
            return Err(ids.unknown(id));
        }
    }
    let all = table
        .values()
        .filter(|entity| entity.seen_from() <= call.now)
        .filter(|entity| wanted.is_empty() || wanted.iter().any(|id| id == entity.id()));
    filter(call, all, filters)
}

/// Keeps the entities that pass all filters of the call.
pub(super) fn filter<'t, T: Entity>(
    call: &Call<'_>,
    entities: impl Iterator<Item = &'t T>,
    known: &[Filter<T>],
) -> Result<Vec<&'t T>, Refusal> {
    let asked = asked(call.params)?;
    for (name, _) in &asked {
        let builtin = name.starts_with("tag:") || name == "tag-key";
        if !builtin && !known.iter().any(|(filter, _)| filter == name) {
            return Err(Refusal::invalid(format!("The filter '{name}' is invalid")));
        }
    }
    let view = View { region: call.region, now: call.now };
    let passes = |entity: &T| {
        asked.iter().all(|(name, patterns)| {
            let values = if let Some(key) = name.strip_prefix("tag:") {
                entity.tags().get(key).cloned().into_iter().collect()
            } else if name == "tag-key" {
                entity.tags().keys().cloned().collect()
            } else {
                let getter = known.iter().find(|(filter, _)| filter == name);
                getter.map(|(_, get)| get(entity, &view)).unwrap_or_default()
            };
            any_match(patterns, &values)
        })
    };
    Ok(entities.filter(|entity| passes(entity)).collect())
}

/// Reads the filters of a call: names and patterns.
pub(super) fn asked(params: &Params) -> Result<Vec<(String, Vec<String>)>, Refusal> {
    let mut filters = Vec::new();
    for filter in params.list("Filter") {
        let values = filter.texts("Value");
        if values.len() > 200 {
            return Err(Refusal::new(
                "FilterLimitExceeded",
                "The maximum number of filter values specified on a single call is 200",
            ));
        }
        filters.push((filter.need("Name")?.to_owned(), values));
    }
    Ok(filters)
}

/// Tells whether one of the values matches one of the patterns.
pub(super) fn any_match(patterns: &[String], values: &[String]) -> bool {
    values.iter().any(|value| patterns.iter().any(|pattern| glob::matches(pattern, value)))
}

/// Cuts a page out of a selection and names the token of the next one.
///
/// `ids` is the parameter that excludes `MaxResults`; the smallest page is five, as in EC2.
pub(super) fn page<T>(
    call: &Call<'_>,
    selected: Vec<T>,
    ids: &str,
    key: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let size = match call.params.number("MaxResults")? {
        None => PAGE,
        Some(_) if !call.params.list(ids).is_empty() => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                format!("The parameter {ids} cannot be used with the parameter maxResults"),
            ));
        }
        Some(size) if (5..=PAGE as i64).contains(&size) => size as usize,
        Some(size) => {
            return Err(Refusal::invalid(format!(
                "Value ( {size} ) for parameter maxResults is invalid. Expecting a value from 5 \
                 to {PAGE}."
            )));
        }
    };
    let refuse = || Refusal::new("InvalidNextToken", "The specified NextToken is not valid");
    cut(selected, size, call.params.text("NextToken"), key).ok_or_else(refuse)
}

/// Cuts the page that follows a token; `None` if the token is not one of ours.
///
/// A token names the last entity of its page, so pages stay right while entities come and go.
pub(super) fn cut<T>(
    mut selected: Vec<T>,
    size: usize,
    token: Option<&str>,
    key: impl Fn(&T) -> String,
) -> Option<(Vec<T>, Option<String>)> {
    selected.sort_by_key(&key);
    if let Some(token) = token {
        let last =
            URL_SAFE_NO_PAD.decode(token).ok().and_then(|raw| String::from_utf8(raw).ok())?;
        let last = last.strip_prefix("after ")?;
        selected.retain(|entity| key(entity).as_str() > last);
    }
    let more = selected.len() > size;
    selected.truncate(size);
    let last = selected.last().filter(|_| more);
    let next = last.map(|entity| URL_SAFE_NO_PAD.encode(format!("after {}", key(entity))));
    Some((selected, next))
}
