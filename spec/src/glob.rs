//! Shell patterns over bytes: `*` (any run, `/` too), `?`, `[a-z]`, `[!a-z]`; glob(7) without its rules for `/` and `.`.

/// Whether `text` as a whole matches `pattern`. Linear in practice: only the last `*` is ever retried.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = p {
            p = rest;
            retry = Some((rest, t));
            continue;
        }
        if let [first, after @ ..] = t {
            if let Some(rest) = one(p, *first) {
                (p, t) = (rest, after);
                continue;
            }
        } else if p.is_empty() {
            return true;
        }
        // A mismatch: let the last `*` swallow one byte more.
        match retry {
            Some((after_star, [_, from @ ..])) => {
                (p, t) = (after_star, from);
                retry = Some((after_star, from));
            }
            _ => return false,
        }
    }
}

/// What is left of `pattern` after its first element matched `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => in_class(class, byte).unwrap_or_else(|| literal(pattern, byte)),
        _ => literal(pattern, byte),
    }
}

fn literal(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    pattern.split_first().filter(|(first, _)| **first == byte).map(|(_, rest)| rest)
}

/// `None` when no `]` closes the class: then `[` stands for itself, as in glob(7).
fn in_class(class: &[u8], byte: u8) -> Option<Option<&[u8]>> {
    let (negated, mut class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut hit = false;
    let mut first = true;
    loop {
        match class {
            [b']', rest @ ..] if !first => return Some((hit != negated).then_some(rest)),
            [low, b'-', high, rest @ ..] if *high != b']' => {
                hit |= (*low..=*high).contains(&byte);
                class = rest;
            }
            [single, rest @ ..] => {
                hit |= *single == byte;
                class = rest;
            }
            [] => return None,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn shell_patterns_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("libmkl_rt.so*", "libmkl_rt.so.2", true),
            ("libmkl_rt.so*", "libmkl_core.so.2", false),
            ("*/bin/conda", "/opt/conda/bin/conda", true),
            ("*/bin/conda", "/opt/conda/bin/conda-env", false),
            ("nid0[2-9]*", "nid02304", true),
            ("nid0[2-9]*", "nid01304", false),
            ("nid0[!2-9]*", "nid01304", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[abc", "[abc", true),
            ("[abc", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} ~ {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_stays_cheap() {
        let text = [b'a'; 4096];
        assert!(!matches(b"*a*a*a*a*a*a*a*a*a*a*b", &text));
    }
}
