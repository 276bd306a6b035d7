//! Where the last keys of a range begin, so that a list from the end need not read all of it.
//!
//! etcd keeps keys in one order. Asked for the other one it reads the whole range, sorts it and
//! throws away all but a page, which for ten thousand runs is thirty megabytes. Counting is cheap:
//! it looks at no value. So a key is looked for from which on there are a few pages. The surprise:
//! the key that is found need not exist.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use etcd_client::GetOptions;

use super::{super::StoreError, EtcdStore};

/// So many keys are read and sorted rather than looked among.
const FEW: usize = 400;

/// Where a page was found to begin, by the end of its range: the newest are asked for again and again.
pub(super) type Hints = Mutex<HashMap<Vec<u8>, Vec<u8>>>;

/// No list has so many pages that are asked for again.
const MAX_HINTS: usize = 64;

impl EtcdStore {
    /// A key from which on there are at least `wanted` keys before `end`, and not very many more;
    /// `start`, if there are not more than that in all.
    pub(super) async fn last(
        &self,
        start: &[u8],
        end: &[u8],
        wanted: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let most = FEW.max(2 * wanted);
        let hint = self.hints.lock().unwrap_or_else(PoisonError::into_inner).get(end).cloned();
        if let Some(hint) = hint.filter(|hint| &**hint > start) {
            let count = self.count(&hint, end).await?;
            if (wanted..=most).contains(&count) {
                return Ok(hint);
            }
        }
        if self.count(start, end).await? <= most {
            return Ok(start.to_vec());
        }
        let found = self.between(start, end, wanted, most).await?;
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if hints.len() >= MAX_HINTS {
            hints.clear();
        }
        hints.insert(end.to_vec(), found.clone());
        Ok(found)
    }

    /// Halves the keys after what they have in common, as numbers, until there are few enough.
    async fn between(
        &self,
        start: &[u8],
        end: &[u8],
        wanted: usize,
        most: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let options = GetOptions::new().with_range(end).with_limit(1).with_keys_only();
        let first = self.range("list", start.to_vec(), options).await?;
        let Some(first) = first.kvs().first() else { return Ok(start.to_vec()) };
        // All keys have the first one's beginning of this length.
        let (mut common, mut longer) = (0, first.key().len());
        while longer - common > 1 {
            let middle = common.midpoint(longer);
            // Keys are text, in which there is no such byte.
            let after = [&first.key()[..middle], &[u8::MAX]].concat();
            if after[..] < *end && self.count(&after, end).await? > 0 {
                longer = middle;
            } else {
                common = middle;
            }
        }
        let prefix = &first.key()[..common];
        let key = |number: u64| [prefix, &number.to_be_bytes()[..]].concat();
        let (mut many, mut none) = (0, u64::MAX);
        while none - many > 1 {
            let middle = many.midpoint(none);
            let count = match key(middle) {
                from if from[..] < *end => self.count(&from, end).await?,
                _ => 0,
            };
            if count > most {
                many = middle;
            } else if count < wanted {
                none = middle;
            } else {
                return Ok(key(middle));
            }
        }
        Ok(key(many).max(start.to_vec()))
    }

    async fn count(&self, start: &[u8], end: &[u8]) -> Result<usize, StoreError> {
        let options = GetOptions::new().with_range(end).with_count_only();
        let answer = self.range("count", start.to_vec(), options).await?;
        Ok(usize::try_from(answer.count()).unwrap_or_default())
    }
}
