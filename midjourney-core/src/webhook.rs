//! stand-in
#![allow(missing_docs)]
#[derive(Debug, Clone)]
pub struct CallbackRegistration;
impl CallbackRegistration {
    pub fn url_for(&self, _: crate::id::JobId) -> crate::key::Secret {
        crate::key::Secret::new("x")
    }
}
