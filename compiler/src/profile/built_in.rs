//! The profiles that come with the compiler.

/// Built-in profiles; the first is the default.
pub(super) const PROFILES: [(&str, &str); 5] = [
    ("desktop", include_str!("../../profiles/desktop.toml")),
    ("flagship-phone", include_str!("../../profiles/flagship-phone.toml")),
    ("mid-phone", include_str!("../../profiles/mid-phone.toml")),
    ("browser", include_str!("../../profiles/browser.toml")),
    ("software", include_str!("../../profiles/software.toml")),
];

/// Name of the profile that is used when none is given.
pub const DEFAULT_PROFILE: &str = PROFILES[0].0;

/// Names of the built-in profiles, the default first.
pub fn built_in_names() -> Vec<&'static str> {
    PROFILES.iter().map(|(name, _)| *name).collect()
}
