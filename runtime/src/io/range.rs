//! Where reads may lie.

/// Refuses a read that does not lie within `size_bytes`.
pub(super) fn check_range(size_bytes: u64, offset_bytes: u64, length: usize) -> std::io::Result<()> {
    match offset_bytes.checked_add(length as u64) {
        Some(end_bytes) if end_bytes <= size_bytes => Ok(()),
        Some(_) | None => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}
