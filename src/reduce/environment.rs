//! Where a Python comes from, by its prefix: the classes of docs/TABLES.md.

use customs_spec::glob;

/// In a container, whatever its prefix says there.
pub const CONTAINER: &str = "container";
/// Nothing matched.
pub const OTHER: &str = "other";

/// Without a site's own. The first that matches holds.
const BUILT_IN: [(&str, &[&str]); 5] = [
    ("spack", &["*/spack/*", "*/.spack/*", "*/.spack-env/*"]),
    (
        "venv",
        &[
            "*/venv",
            "*/.venv",
            "*/venv/*",
            "*/.venv/*",
            "*/venvs/*",
            "*/virtualenvs/*",
            "*/.virtualenvs/*",
            "*/*venv",
            "*/env",
        ],
    ),
    (
        "module",
        &[
            "/opt/*",
            "/sw/*",
            "/apps/*",
            "/software/*",
            "/cvmfs/*",
            "/usr/common/*",
            "/global/common/*",
            "*/easybuild/*",
            "*/modules/*",
        ],
    ),
    ("conda", &["*conda*", "*mamba*", "*miniforge*", "*/envs/*"]),
    ("system", &["/usr", "/usr/local"]),
];

/// The rules.
pub struct Environments {
    rules: Vec<(String, Vec<String>)>,
}

impl Environments {
    /// The site's own, and then those that customs knows.
    pub fn new(own: Vec<(String, Vec<String>)>) -> Self {
        let built_in = BUILT_IN
            .iter()
            .map(|(name, patterns)| (name.to_string(), patterns.iter().map(ToString::to_string).collect()));
        Environments { rules: own.into_iter().chain(built_in).collect() }
    }

    /// The class of a prefix.
    pub fn class(&self, prefix: &str) -> &str {
        let matches = |pattern: &String| glob::matches(pattern.as_bytes(), prefix.as_bytes());
        let rule = self.rules.iter().find(|(_, patterns)| patterns.iter().any(matches));
        rule.map_or(OTHER, |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::Environments;

    #[test]
    fn a_prefix_has_the_class_of_the_first_rule_that_holds() {
        let environments = Environments::new(vec![("ours".to_string(), vec!["/opt/ours/*".to_string()])]);
        for (prefix, class) in [
            ("/opt/ours/python/3.12", "ours"),
            ("/opt/python/3.12", "module"),
            ("/opt/spack/linux-x86_64/python-3.12-abc", "spack"),
            ("/home/alice/miniconda3/envs/work", "conda"),
            ("/home/alice/project/.venv", "venv"),
            ("/usr", "system"),
            ("/home/alice/built-by-hand", "other"),
            ("", "other"),
        ] {
            assert_eq!(environments.class(prefix), class, "{prefix}");
        }
    }
}
