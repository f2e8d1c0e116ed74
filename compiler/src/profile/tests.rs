//! Profiles: built in, from files, refused; costs and capacities.

use super::built_in::PROFILES;
use super::*;

#[test]
fn every_built_in_profile_loads_under_its_name() {
    for name in built_in_names() {
        let profile = DeviceProfile::load(name).expect("built in");
        assert_eq!(profile.name, name);
        let text = toml::to_string(&profile).expect("serialises");
        assert_eq!(DeviceProfile::parse(name, &text).expect("reads back"), profile);
    }
    assert_eq!(DeviceProfile::default().name, "desktop");
}

/// Why a profile is refused, with its causes.
fn error(text: &str) -> String {
    let error = DeviceProfile::parse("x.toml", text).expect_err("must fail");
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn errors_name_the_cause() {
    let good = PROFILES[0].1;
    assert!(error(&good.replace("launch_us", "lanch_us")).contains("lanch_us"));
    let negative = good.replace("launch_us = 5.0", "launch_us = -1.0");
    assert_eq!(error(&negative), "device profile `x.toml`: launch_us is -1, must be a number from 0 to 1e6");
    let nan = good.replace("launch_us = 5.0", "launch_us = nan");
    assert!(error(&nan).contains("launch_us is NaN"));
    assert_eq!(
        DeviceProfile::load("pocket-calculator").expect_err("no such profile").to_string(),
        "no device profile `pocket-calculator`: not a file, and the built-in ones are desktop, flagship-phone, \
         mid-phone, browser, software"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let error = DeviceProfile::load(&folder.path().to_string_lossy()).expect_err("a folder is no profile");
    assert!(matches!(error, ProfileError::Read { .. }));
}

#[test]
fn a_profile_is_read_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, PROFILES[2].1.replace("30.0", "30")).expect("written");
    assert_eq!(DeviceProfile::load(&path.to_string_lossy()).expect("reads").name, "mid-phone");
}

#[test]
fn costs_follow_the_slower_resource() {
    let mut profile = DeviceProfile { launch_us: 2.0, ..DeviceProfile::default() };
    profile.throughput.elemental_bytes_per_second = 1e9;
    profile.throughput.reusable_flops_per_second = 1e12;
    profile.upload_bytes_per_second = 1e9;
    assert!((profile.step_cost(OperatorClass::Elemental, 7, 3000) - 5.0).abs() < 1e-9);
    assert!((profile.step_cost(OperatorClass::Reusable, 5_000_000, 3000) - 7.0).abs() < 1e-9);
    assert!((profile.step_cost(OperatorClass::Reusable, 5, 3000) - 5.0).abs() < 1e-9);
    assert_eq!(profile.capacity_pages(OperatorClass::Elemental, 10.0, 1000), 30);
    assert_eq!(profile.capacity_pages(OperatorClass::Reusable, 10.0, 1000), 2);
    assert_eq!(profile.capacity_pages(OperatorClass::Hierarchical, 10.0, 1000), 0);
}

#[test]
fn every_value_has_a_range_and_every_field_is_known() {
    let good = PROFILES[0].1;
    let refused = [
        ("name = \"desktop\"", "name = \"\"", "the name must have 1 to 64 characters"),
        (
            "disk_bytes_per_second = 3.0e9",
            "disk_bytes_per_second = 0.5",
            "disk_bytes_per_second is 0.5, must be a number from 1 to 1e18",
        ),
        ("launch_us = 5.0", "launch_us = 2e6", "launch_us is 2000000, must be a number from 0 to 1e6"),
        ("elemental = 3.0", "elemental = 101", "load_capacity.elemental is 101, must be a number from 0 to 100"),
        ("[limits]", "[limits]\nlayers = 3", "layers"),
        (
            "texture_array_layers = 2048",
            "texture_array_layers = 8",
            "limits.texture_array_layers is 8, must be from 256 to 1048576",
        ),
        ("[limits]", "[limits]\nloop_rounds = 9", "limits.loop_rounds is 9, must be at least 16384"),
        ("buffer_bytes = 2147483648", "buffer_bytes = 1", "limits.buffer_bytes is 1, must be from 4 MiB to 16 GiB"),
        (
            "[limits]",
            "[capacity_curve]\nreusable = [[2.0, 0.1], [1.0, 0.2]]\n[limits]",
            "capacity_curve.reusable, point 1 is [1, 0.2]",
        ),
        (
            "[limits]",
            "[capacity_curve]\nreusable = [[2.0, 0.1], [3.0, 0.05]]\n[limits]",
            "capacity_curve.reusable, point 1 is [3, 0.05]",
        ),
        (
            "[limits]",
            "[capacity_curve]\nreusable = [[nan, 0.1]]\n[limits]",
            "capacity_curve.reusable, point 0 is [NaN, 0.1]",
        ),
        ("[limits]", "[capacity_curve]\nconvolution = []\n[limits]", "convolution"),
    ];
    for (found, put, expected) in refused {
        assert!(good.contains(found), "{found}");
        let message = error(&good.replacen(found, put, 1));
        assert!(message.contains(expected), "{put}: {message}");
    }
}

#[test]
fn limits_that_are_not_given_are_those_of_every_device() {
    let (head, _) = PROFILES[0].1.split_once("[limits]").expect("the desktop has limits");
    let profile = DeviceProfile::parse("x.toml", head).expect("limits are optional");
    assert_eq!(profile.limits, DeviceLimits::GUARANTEED);
    let browser = DeviceProfile::load("browser").expect("built in");
    assert_eq!(browser.limits, DeviceLimits::GUARANTEED);
}

#[test]
fn capacity_follows_a_measured_curve() {
    let mut profile = DeviceProfile::default();
    profile.capacity_curve.reusable = vec![[100.0, 0.1], [300.0, 0.1], [500.0, 0.5]];
    let capacity = |allowed: f64| {
        let mut profile = profile.clone();
        profile.load_capacity.reusable = allowed;
        profile.capacity_pages(OperatorClass::Reusable, 1000.0, 1000)
    };
    // Through the origin, along the flat part, between points, and no further than was measured.
    assert_eq!([0.0, 0.05, 0.1, 0.3, 0.5, 9.0].map(capacity), [0, 50, 300, 400, 500, 500]);
    // Classes without a curve keep the rule that uploads take their own time.
    let plain = DeviceProfile::default();
    for class in [OperatorClass::Elemental, OperatorClass::Hierarchical] {
        assert_eq!(profile.capacity_pages(class, 777.0, 4096), plain.capacity_pages(class, 777.0, 4096));
    }
    let text = toml::to_string(&profile).expect("serialises");
    assert_eq!(DeviceProfile::parse("x.toml", &text).expect("reads back"), profile);
}
