//! What the two ways to follow all jobs share: which of them, and from where.

use std::{collections::BTreeSet, fmt};

use midjourney_core::{
    gateway::{WatchAll, WatchFilter},
    id::JobId,
    job::Position,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::{App, extract, problem::Problem};

/// How many jobs can be named.
const MOST: usize = 100;

/// All jobs, or those that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Jobs(Option<BTreeSet<JobId>>);

impl Jobs {
    fn add<E: serde::de::Error>(&mut self, job: JobId) -> Result<(), E> {
        let jobs = self.0.get_or_insert_default();
        jobs.insert(job);
        if jobs.len() > MOST {
            return Err(E::custom(format!(
                "{MOST} jobs can be named; follow all where there are more"
            )));
        }
        Ok(())
    }

    /// Follows them.
    pub(super) async fn watch(self, app: &App, after: Option<Position>) -> Result<WatchAll, Problem> {
        let mut filter = WatchFilter::default();
        if let Some(jobs) = self.0 {
            for job in &jobs {
                // Who waits for a job that is not there waits for ever.
                app.gateway.job(*job).await?;
            }
            filter = filter.with_jobs(jobs);
        }
        Ok(app.gateway.watch_all(after, filter).await?)
    }
}

/// As JSON: `"all"`, or a list of ids.
impl<'de> Deserialize<'de> for Jobs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Jobs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\" or a list of job ids")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Jobs, E> {
                if text == "all" {
                    Ok(Jobs::default())
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut ids: A) -> Result<Jobs, A::Error> {
                let mut jobs = Jobs::default();
                while let Some(id) = ids.next_element()? {
                    jobs.add(id)?;
                }
                if jobs == Jobs::default() {
                    return Err(A::Error::invalid_length(0, &self));
                }
                Ok(jobs)
            }
        }

        deserializer.deserialize_any(Named)
    }
}

/// Which events, and from where.
#[derive(Debug, Default, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowQuery {
    /// Only events of this job. May come again, or be a list with commas; 100 jobs at most.
    #[param(value_type = Option<Vec<String>>)]
    pub(super) job: Jobs,
    /// Only events after this `position`. The header `Last-Event-ID` goes before it. Without either, those that come from
    /// now on.
    #[param(value_type = Option<u64>)]
    pub(super) after: Option<Position>,
}

impl<'de> Deserialize<'de> for FollowQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Name {
            Job,
            After,
        }

        struct Ids(Vec<JobId>);

        impl<'de> Deserialize<'de> for Ids {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let ids = text.split(',').map(|id| id.trim().parse());
                ids.collect::<Result<_, _>>().map(Self).map_err(D::Error::custom)
            }
        }

        struct After(Option<u64>);

        impl<'de> Deserialize<'de> for After {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                extract::sequence(deserializer).map(Self)
            }
        }

        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = FollowQuery;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a query")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<FollowQuery, A::Error> {
                let mut query = FollowQuery::default();
                while let Some(name) = pairs.next_key()? {
                    match name {
                        Name::Job => {
                            for id in pairs.next_value::<Ids>()?.0 {
                                query.job.add(id)?;
                            }
                        }
                        Name::After if query.after.is_some() => {
                            return Err(A::Error::duplicate_field("after"));
                        }
                        Name::After => query.after = pairs.next_value::<After>()?.0.map(Position::new),
                    }
                }
                Ok(query)
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}
