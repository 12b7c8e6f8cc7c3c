//! Help, manual page and completions

use super::Site;

#[test]
fn every_verb_is_in_the_help_and_in_the_manual_page() {
    let site = Site::new("");
    let (help, page) = (site.customs(["--help"]), site.customs(["man"]));
    assert_eq!((help.status, page.status), (0, 0));
    for verb in ["check", "compile", "inspect", "run", "emit", "collect", "import", "canary", "doctor", "me", "sql"] {
        assert!(help.stdout.contains(&format!("\n  {verb} ")), "{verb}");
        assert!(page.stdout.contains(&format!("customs {verb}")), "{verb}: {}", page.stdout);
    }
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = Site::new("").customs(["completions", shell]);
        assert_eq!(answer.status, 0);
        assert!(answer.stdout.contains("compile"), "{shell}");
    }
}
