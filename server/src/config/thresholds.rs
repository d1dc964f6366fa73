//! Settings of the strategies in the configuration: `[strategy.scalp]` with `ema_period = 9` is the setting
//! `scalp.ema_period` of `docs/strategies.md`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use tidegate_strategy::{InvalidParameter, Parameters};

/// What differs from the defaults, by group and name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Thresholds(BTreeMap<String, BTreeMap<String, f64>>);

impl Thresholds {
    /// Full name and value of each.
    pub fn settings(&self) -> impl Iterator<Item = (String, f64)> {
        let of_group = |(group, values): (&String, &BTreeMap<String, f64>)| {
            let named = |(name, value): (&String, &f64)| (format!("{group}.{name}"), *value);
            values.iter().map(named).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_group)
    }
}

/// Names are checked while reading, so that an error shows the line; bounds are not, as one may depend on another.
impl<'de> Deserialize<'de> for Thresholds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Groups).map(Self)
    }
}

struct Groups;

impl<'de> Visitor<'de> for Groups {
    type Value = BTreeMap<String, BTreeMap<String, f64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings of the strategies, for example `scalp.ema_period = 9`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut groups = BTreeMap::new();
        while let Some(group) = map.next_key::<String>()? {
            let values = map.next_value_seed(Group(&group))?;
            groups.insert(group, values);
        }
        Ok(groups)
    }
}

struct Group<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Group<'_> {
    type Value = BTreeMap<String, f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Group<'_> {
    type Value = BTreeMap<String, f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings of {0}, for example [strategy.{0}]", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Setting { group: self.0, name: &name })?;
            values.insert(name, value);
        }
        Ok(values)
    }
}

struct Setting<'a> {
    group: &'a str,
    name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Setting<'_> {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        let name = format!("{}.{}", self.group, self.name);
        if Parameters::default().settings().iter().any(|(known, _)| *known == name) {
            f64::deserialize(deserializer)
        } else {
            Err(de::Error::custom(InvalidParameter::Unknown { name }))
        }
    }
}
