//! A bounded map of expiring entries.

use core::borrow::Borrow;
use std::collections::BTreeMap;
use std::time::Instant;

/// A map of expiring entries, bounded in number and weight: the oldest is evicted first.
#[derive(Debug)]
pub(crate) struct ExpiringMap<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// The keys by age.
    ages: BTreeMap<u64, K>,
    next: u64,
    weight: usize,
    max_entries: usize,
    max_weight: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Instant,
    age: u64,
    weight: usize,
}

impl<K: Clone + Ord, V> ExpiringMap<K, V> {
    pub(crate) fn new(max_entries: usize, max_weight: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            ages: BTreeMap::new(),
            next: 0,
            weight: 0,
            max_entries,
            max_weight,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, now: Instant, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.get(key).filter(|entry| now < entry.until)?;
        Some(&entry.value)
    }

    /// Returns true if there is an entry, expired or not.
    pub(crate) fn has(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Stores a value until then, unless no entries are allowed or it alone is too heavy. Returns
    /// the number of entries evicted for it.
    pub(crate) fn insert(&mut self, key: K, value: V, until: Instant, weight: usize) -> usize {
        self.remove(&key);
        if self.max_entries == 0 || weight > self.max_weight {
            return 0;
        }
        let mut forgotten = 0_usize;
        while self.len() >= self.max_entries || self.weight > self.max_weight.saturating_sub(weight)
        {
            let Some((_, oldest)) = self.ages.pop_first() else {
                break;
            };
            self.remove(&oldest);
            forgotten = forgotten.saturating_add(1);
        }
        let age = self.next;
        self.next = self.next.wrapping_add(1);
        self.weight = self.weight.saturating_add(weight);
        self.ages.insert(age, key.clone());
        let entry = Entry {
            value,
            until,
            age,
            weight,
        };
        self.entries.insert(key, entry);
        forgotten
    }

    /// Extends the life of a value and makes it the youngest. Returns false if there is none.
    pub(crate) fn refresh<Q: Ord + ?Sized>(&mut self, key: &Q, until: Instant) -> bool
    where
        K: Borrow<Q>,
    {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        if let Some(key) = self.ages.remove(&entry.age) {
            self.ages.insert(self.next, key);
        }
        entry.age = self.next;
        entry.until = until;
        self.next = self.next.wrapping_add(1);
        true
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.ages.remove(&entry.age);
            self.weight = self.weight.saturating_sub(entry.weight);
        }
    }
}
