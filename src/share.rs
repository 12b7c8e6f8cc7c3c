//! A share of a whole, as far as it can be known from a sample.

/// A share and the interval that holds the true one in 95 of 100 cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub observed: f64,
    pub low: f64,
    pub high: f64,
}

/// Wilson's score interval for `count` of `all`, at 95 % (E. B. Wilson, "Probable Inference, the Law of Succession, and
/// Statistical Inference", Journal of the American Statistical Association 22, 1927, pages 209 to 212). Unlike the usual
/// interval around a mean it holds for few trials and for a share of nothing.
pub fn wilson(count: u64, all: u64) -> Share {
    /// The 97.5th percentile of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    let (n, observed) = (all as f64, count as f64 / all as f64);
    let scale = 1.0 + Z * Z / n;
    let middle = (observed + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (observed * (1.0 - observed) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Where nothing or all is lost, the interval ends there; not a rounding beside it.
    let low = if count == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if count == all { 1.0 } else { (middle + half).min(1.0) };
    Share { observed, low, high }
}

#[cfg(test)]
mod tests {
    use super::wilson;

    #[test]
    fn the_interval_is_wilsons() {
        // Figures of R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine
        // 17, 1998, table I, method 3.
        for (count, all, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let share = wilson(count, all);
            assert!((share.low - low).abs() < 6e-5 && (share.high - high).abs() < 6e-5, "{count} of {all}: {share:?}");
        }
    }
}
