//! What tokens cost, by a dated table.
/// Stub until merged.
pub fn cost(_model: &str, _usage: &super::message::Usage) -> Option<f64> {
    None
}
