//! The middle of many values.

/// The median, the upper one of two; `None` where there are no values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    median_in(&mut Vec::new(), values)
}

/// The same, in a room of the caller's.
pub(crate) fn median_in(room: &mut Vec<f64>, values: impl Iterator<Item = f64>) -> Option<f64> {
    room.clear();
    room.extend(values);
    let middle = room.len() / 2;
    (!room.is_empty()).then(|| *room.select_nth_unstable_by(middle, f64::total_cmp).1)
}
