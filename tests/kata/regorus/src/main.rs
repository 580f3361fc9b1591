// SPDX-License-Identifier: Apache-2.0
// kf-rego ENGINE POLICY CASES: what regorus ENGINE (0.2 or 0.9) answers to each case, a line each: true, false or error.
macro_rules! answer {
    ($regorus:ident, $policy:expr, $cases:expr) => {{
        let mut e = $regorus::Engine::new();
        e.set_strict_builtin_errors(false);
        e.add_policy_from_file($policy)?;
        let cases = $regorus::Value::from_json_file($cases)?;
        let cases = cases["cases"].as_array()?.clone();
        for c in cases.iter() {
            let rule = c["rule"].as_string()?.to_string();
            e.set_input(c["input"].clone());
            match e.eval_bool_query(format!("data.agent_policy.{rule}"), false) {
                Ok(b) => println!("{b}"),
                Err(x) => println!("error {x}"),
            }
        }
    }};
}

fn main() -> anyhow::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    match a[1].as_str() {
        "0.2" => answer!(regorus_0_2, &a[2], &a[3]),
        _ => answer!(regorus_0_9, &a[2], &a[3]),
    }
    Ok(())
}
