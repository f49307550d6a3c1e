//! Typed identifiers.
//!
//! Every entity has its own type, written as a short prefix and a UUIDv7 in 32 lower-case hex digits:
//! `job_019ab3c0d1e27f3a8b4c5d6e7f8091a2`. UUIDv7 sorts by creation time, which is what keyset paging rests on.
//! An id is not a secret and never a capability.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::clock::{Entropy, Timestamp};

/// The text is not an identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_ followed by 32 hex digits")]
pub struct ParseIdError {
    prefix: &'static str,
}

fn make(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, ParseIdError> {
    let hex = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    hex.and_then(|hex| Uuid::try_parse(hex).ok())
        .ok_or(ParseIdError { prefix })
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The word before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id that sorts after those made in earlier milliseconds.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(make(now, entropy))
            }

            /// The 16 bytes, as a database keeps them; their order is the order of creation.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            const TEXT_LENGTH: usize = Self::PREFIX.len() + 1 + uuid::fmt::Simple::LENGTH;

            fn write<'b>(&self, text: &'b mut [u8; Self::TEXT_LENGTH]) -> &'b str {
                let (prefix, hex) = text.split_at_mut(Self::PREFIX.len() + 1);
                prefix.copy_from_slice(concat!($prefix, "_").as_bytes());
                self.0.simple().encode_lower(hex);
                str::from_utf8(text).unwrap_or_default()
            }

            /// The id behind 16 bytes read from a database.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.write(&mut [0; Self::TEXT_LENGTH]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.write(&mut [0; Self::TEXT_LENGTH]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// One paid unit of work: one prompt, one upstream task.
    JobId,
    "job"
);
typed_id!(
    /// The jobs that one request became, through permutations or `--repeat`.
    BatchId,
    "bat"
);
typed_id!(
    /// One picture (or video) that a job produced.
    ImageId,
    "img"
);
typed_id!(
    /// One picture that a caller brought along.
    UploadId,
    "upl"
);
typed_id!(
    /// One callback that came in.
    CallbackId,
    "cbk"
);
typed_id!(
    /// One wish to be told about jobs.
    SubscriptionId,
    "sub"
);
typed_id!(
    /// One message on its way to a receiver; the same over all tries.
    DeliveryId,
    "msg"
);
typed_id!(
    /// One running engine; names the holder of a lease.
    WorkerId,
    "wrk"
);

impl UploadId {
    /// The id of a picture that is known by a digest beforehand, the same each time: a UUID of version 8, which tells no
    /// time.
    pub fn of_digest(digest: [u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsEntropy;

    #[test]
    fn ids_survive_their_text_and_sort_by_time() {
        let early = JobId::new(Timestamp::from_millis(1), &OsEntropy);
        let late = JobId::new(Timestamp::from_millis(2), &OsEntropy);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(JobId::from_bytes(*late.as_bytes()), late);
        assert_eq!(early.to_string().len(), 36);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let image = ImageId::new(Timestamp::from_millis(1), &OsEntropy).to_string();
        assert_eq!(
            image.parse::<JobId>().unwrap_err().to_string(),
            "expected an id of the form job_ followed by 32 hex digits"
        );
        for bad in [
            "",
            "job_",
            "job_XYZ",
            "job-019ab3c0d1e27f3a8b4c5d6e7f8091a2",
            "job_019AB3C0D1E27F3A8B4C5D6E7F8091A2",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }
}
