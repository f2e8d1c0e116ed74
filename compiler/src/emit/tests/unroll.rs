//! Unrolling: what becomes of marked loops and arrays, what is refused and where, and one kernel in full as a golden file.

use super::{golden, kernels};
use crate::emit::tokens::{set_constants, text, tokens};
use crate::emit::unroll::unroll;
use crate::emit::{Form, link, link_form};
use crate::kernels::{Kernel, decoding};
use flashmem_plan_format::plan::Encoding;

/// The unrolled text, or the message.
fn unrolled(source: &str, variant: &[(&'static str, u32)]) -> String {
    let result = tokens("test", source).and_then(|mut found| {
        let constants = set_constants(&mut found, variant)?;
        unroll(&found, &constants)
    });
    result.map_or_else(|error| error.to_string(), |found| text(&found).source)
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(unrolled(source, &[]).trim_end(), expected);
}

#[test]
fn loops_repeat_with_literals_and_names_of_their_own() {
    check(
        "for (var r = 1u; r < 6u; r += 2u) { // unroll\nlet w = f(r) * x.r;\ny += w;\n}",
        "let w1=f(1u)*x.r;\ny+=w1;\nlet w3=f(3u)*x.r;\ny+=w3;\nlet w5=f(5u)*x.r;\ny+=w5;",
    );
    // Bounds of the loops around it, and none at all.
    check(
        "for (var i = 0u; i < 3u; i += 1u) { // unroll\nfor (var j = i; j < min(i + 2u, 3u) - i; j += 1u) { // unroll\nlet t = f(i, j);\n}\n}",
        "let t0_0=f(0u,0u);\nlet t0_1=f(0u,1u);\nlet t1_1=f(1u,1u);",
    );
    // However the source is broken.
    check(
        "for (var i = 0u; i < 2u; i += 1u) { // unroll\nfor (var j = i; j < 2u; j += 1u) { f(i, j); } // unroll\n}",
        "f(0u,0u);\nf(0u,1u);\nf(1u,1u);",
    );
    check("if (a) { x = 1.0; } else { f(); g(); }", "if(a){\nx=1.0;\n}else{\nf();\ng();\n}");
    // What has a block of its own keeps its names; the first `w` is the one outside.
    check(
        "for (var i = 0u; i < 2u; i += 1u) { // unroll\nlet w = w + 1.0;\nif (w > 2.0) {\nlet s = w;\n}\n}",
        "let w0=w+1.0;\nif(w0 > 2.0){\nlet s=w0;\n}\nlet w1=w+1.0;\nif(w1 > 2.0){\nlet s=w1;\n}",
    );
}

#[test]
fn arrays_become_variables_where_they_get_their_first_value() {
    check(
        "{\nvar a: array<array<vec4<f32>, 2>, 2>; // registers\na[0][1] = x;\na[1][0].x += 1.0;\nf(a[0][1], a[1][0].y);\n}",
        "{\nvar a0_0=vec4<f32>();\nvar a1_0=vec4<f32>();\nvar a1_1=vec4<f32>();\nlet a0_1=x;\na1_0.x+=1.0;\nf(a0_1,a1_0.y);\n}",
    );
    // Assigned again, read in its own first value, first assigned in an inner block.
    check(
        "{\nvar a: array<u32, 3>; // registers\na[0] = 7u;\na[0] += 1u;\na[1] = a[1] + 1u;\nif (c) {\na[2] = 3u;\n}\n}",
        "{\nvar a1=u32();\nvar a2=u32();\nvar a0=7u;\na0+=1u;\na1=a1 + 1u;\nif(c){\na2=3u;\n}\n}"
            .replace(" + ", "+")
            .as_str(),
    );
    // The same name in two functions, and a member of that name.
    check(
        "fn f() {\nvar a: array<u32, 1>; // registers\na[0] = b.a;\n}\nfn g() {\nvar a: array<u32, 1>; // registers\na[0] = 2u;\n}",
        "fn f(){\nlet a0=b.a;\n}\nfn g(){\nlet a0=2u;\n}",
    );
}

#[test]
fn loops_that_rotate_stay_and_turn_what_they_index() {
    check(
        "{\nvar a: array<f32, 3>; // registers\nfor (var r = 0u; r < 3u; r += 1u) { // rotate\nf(r, a[r]);\n}\n}",
        "{\nvar a0=f32();\nvar a1=f32();\nvar a2=f32();\nfor(var r=0u; r < 3u;r+=1u){\nf(r,a0);\nlet a_turned0=a0;\na0=a1;\na1=a2;\na2=a_turned0;\n}\n}"
            .replace("; r < ", ";r < ")
            .as_str(),
    );
    // What is named of an array of two dimensions, then a component.
    let source = "{\nvar a: array<array<vec4<f32>, 2>, 2>; // registers\nfor (var q = 0u; q < 2u; q += 1u) { // rotate\nfor (var r = 0u; r < 2u; r += 1u) { // rotate\nfor (var c = 0u; c < 4u; c += 1u) { // rotate\nf(q, a[r][q][c]);\n}\n}\n}\n}";
    let body = unrolled(source, &[]).split_once("f(q").expect("the call").1.to_owned();
    let expected = ",a0_0.x);\na0_0=a0_0.yzwx;\n}\nlet a_turned0=a0_0;\na0_0=a1_0;\na1_0=a_turned0;\n}\nlet a_turned0=a0_0;\na0_0=a0_1;\na0_1=a_turned0;\nlet a_turned1=a1_0;\na1_0=a1_1;\na1_1=a_turned1;\n}\n}\n";
    assert_eq!(body, expected);
    // All of an array is in its place behind a loop, and one element needs no turning.
    let single = "{\nvar a: array<f32, 1>; // registers\nfor (var r = 0u; r < 1u; r += 1u) { // rotate\nf(a[r]);\n}\ng(a[0]);\n}";
    assert!(!unrolled(single, &[]).contains("turned"), "{}", unrolled(single, &[]));
}

#[test]
fn constants_are_folded_where_they_meet() {
    let of = |expression: &str| {
        let source = format!("for (var i = 2u; i < 3u; i += 1u) {{ // unroll\nx = {expression};\n}}");
        unrolled(&source, &[]).trim_end().to_owned()
    };
    assert_eq!(of("a * (4u * i + 1u) + i * 8u"), "x=a*9u+16u;");
    assert_eq!(of("a + (i - 2u)"), "x=a;");
    // Nothing that binds more tightly, or is a call or a constructor, is touched.
    assert_eq!(of("a / i * 2u"), "x=a/2u*2u;");
    assert_eq!(of("f(i) - i - 1u"), "x=f(2u)-2u-1u;");
    assert_eq!(of("vec3<u32>(i) * 0u"), "x=vec3 < u32 > (2u)*0u;".replace(" < ", "<").replace(" > ", ">").as_str());
    assert_eq!(of("4294967295u * i"), "x=4294967295u*2u;");
}

#[test]
fn constants_of_a_variant_are_set_and_followed() {
    let source = "const A: u32 = 2u;\nconst B: u32 = (A << 2u) | 1u;\nconst F: f32 = 1.5;\nfor (var i = 0u; i < B / A; i += A) { // unroll\nf(i);\n}";
    let head = |a: u32| format!("const A:u32={a}u;\nconst B:u32=(A << 2u)|1u;\nconst F:f32=1.5;\n");
    assert_eq!(unrolled(source, &[]), head(2) + "f(0u);\nf(2u);\n");
    assert_eq!(unrolled(source, &[("A", 3)]), head(3) + "f(0u);\nf(3u);\n");
}

#[test]
fn mistakes_are_reported_with_their_line() {
    let cases = [
        "let a = 1u; // unroll",
        "if (a) { // registers\n}",
        "x = 1.0; } // unroll",
        "for (var i = 0u; i <= 3u; i += 1u) { // unroll\n}",
        "for (var i = 0u; i < 3u; i += 1u) { // unroll\ni += 1u;\n}",
        "\nfor (var i = 0u; i < params.k; i += 1u) { // unroll\n}",
        "for (var i = 0u; i < 3u; i += 0u) { // unroll\n}",
        "for (var i = 0u; i < 100000u; i += 1u) { // unroll\n}",
        "for (var i = 0u; i < 3u; i += 1u) { // unroll\nif (a) {\nbreak;\n}\n}",
        "for (var i = 0u; i < 3u; i += 1u) { // unroll\nlet i = 2u;\n}",
        "for (var i = 0u; i < 3u; i += 1u) { // unroll\n",
        "{\nlet a = array<u32, 3>(); // registers\n}",
        "{\nvar a: array<u32, N>; // registers\n}",
        "{\nvar a: array<u32, 2>; // registers\nfor (var i = 0u; i < 2u; i += 1u) {\na[i] = 1u;\n}\n}",
        "{\nvar a: array<u32, 2>; // registers\nf(&a);\n}",
        "{\nvar a: array<u32, 2>; // registers\nfor (var i = 0u; i < 2u; i += 1u) { // unroll\na[i] = a[i + 1u];\n}\n}",
        "{\nlet a1 = 0u;\nvar a: array<u32, 2>; // registers\n}",
        "{\nvar a: array<u32, 2>; // registers\nif (c) {\nlet a = 1u;\n}\n}",
        "{\nfor (var i = 0u; i < 2u; i += 1u) { // unroll\nlet w = 1u;\n}\nfor (var i = 1u; i < 2u; i += 1u) { // unroll\nlet w = 1u;\n}\n}",
    ];
    let rotating = [
        ("array<u32, 3>", "for (var i = 0u; i < 2u; i += 1u)", "f(a[i]);"),
        ("array<u32, 2>", "for (var i = 1u; i < 2u; i += 1u)", "f(a[i]);"),
        ("array<u32, 2>", "for (var i = 0u; i < n; i += 1u)", "f(a[i]);"),
        ("array<u32, 2>", "for (var i = 0u; i < 2u; i += 1u)", "f(b[i]);"),
        ("array<u32, 2>", "for (var i = 0u; i < 2u; i += 1u)", "f(a[i]);\ncontinue;"),
        ("array<u32, 2>", "if (n)", "f(a[0]);"),
    ];
    let rotating = rotating
        .map(|(kind, head, body)| format!("{{\nvar a: {kind}; // registers\n{head} {{ // rotate\n{body}\n}}\n}}"));
    let mut messages: Vec<String> = cases.iter().map(|source| unrolled(source, &[])).collect();
    messages.extend(rotating.iter().map(|source| unrolled(source, &[])));
    messages.push(unrolled("const A: f32 = 1.0;", &[("A", 3)]));
    messages.push(unrolled("const A: u32 = 1u;", &[("B", 3)]));
    golden("unroll_errors.txt", &(messages.join("\n") + "\n"));
}

#[test]
fn loops_of_more_rounds_than_their_mark_says_stay() {
    let source = "const D: u32 = 2u;\nfor (var i = 0u; i < D; i += 1u) { // unroll 2\nlet w = f(i);\n}";
    assert_eq!(unrolled(source, &[]), "const D:u32=2u;\nlet w0=f(0u);\nlet w1=f(1u);\n");
    let stays = "const D:u32=3u;\nfor(var i=0u;i < D;i+=1u){\nlet w=f(i);\n}\n";
    assert_eq!(unrolled(source, &[("D", 3)]), stays);
}

#[test]
fn loops_that_stay_may_leave() {
    let source = "for (var i = 0u; i < 1u; i += 1u) { // unroll\nfor (var j = 0u; j < n; j += 1u) {\nif (j > i) {\nbreak;\n}\n}\n}";
    let expected = "for(var j=0u; j < n; j+=1u){\nif(j > 0u){\nbreak;\n}\n}\n";
    assert_eq!(unrolled(source, &[]).replace(";j", "; j"), expected);
}

#[test]
fn one_kernel_is_unrolled_as_recorded() {
    golden("matmul.wgsl", &link(Kernel::Matmul, Some(Encoding::F16), None).expect("links").source);
}

#[test]
fn no_mark_is_left_and_written_kernels_are_short() {
    for (kernel, encoding) in kernels() {
        let row = kernel.row();
        for file in
            encoding.map(|encoding| decoding(encoding).files).iter().flatten().chain(&[row.body]).chain(row.shared)
        {
            assert!(file.text.lines().count() <= 250, "{} is longer than a kernel's file should be", file.name);
        }
        let Ok(written) = link_form(kernel, encoding, None, Form::Written) else { continue };
        let unrolled = link(kernel, encoding, None).expect("links as it is written");
        let same = written.source == unrolled.source;
        let has_marks = [row.body]
            .iter()
            .chain(row.shared)
            .any(|file| ["// unroll", "// rotate"].iter().any(|mark| file.text.contains(mark)));
        assert_eq!(same, !has_marks, "{kernel:?}");
        let facts =
            |l: &crate::emit::Linked| (l.block.size_bytes(), l.storage_bindings, l.workgroup_size, l.workgroup_bytes);
        assert_eq!(facts(&written), facts(&unrolled), "{kernel:?}");
    }
}
