//! Signals whose default kills and that batch systems send: which of them a site may have reported. The numbers are
//! those of Linux on x86_64 and aarch64 (signal(7)).

/// Every such signal.
pub const ALL: [u8; 6] = [1, 10, 12, 14, 15, 24];

/// Its name without `SIG`.
pub fn name(number: u8) -> &'static str {
    match number {
        1 => "HUP",
        10 => "USR1",
        12 => "USR2",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        _ => "",
    }
}

/// The signal of that name, with or without `SIG`.
#[cfg(feature = "site")]
pub fn number(name: &str) -> Option<u8> {
    let short = name.strip_prefix("SIG").unwrap_or(name);
    ALL.into_iter().find(|number| self::name(*number) == short)
}

/// A set of them as bits, that of signal 1 the lowest.
pub fn set(numbers: impl IntoIterator<Item = u8>) -> u32 {
    numbers.into_iter().fold(0, |set, number| set | 1 << (number.wrapping_sub(1) & 31))
}

/// Those of a set.
pub fn members(set: u32) -> impl Iterator<Item = u8> {
    ALL.into_iter().filter(move |number| set >> (number.wrapping_sub(1) & 31) & 1 == 1)
}
