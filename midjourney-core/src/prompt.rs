//! stand-in
/// Report.
#[derive(Debug)]
pub struct Report;
