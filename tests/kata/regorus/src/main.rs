// SPDX-License-Identifier: Apache-2.0
// kf-rego POLICY CASES: what regorus answers to each case, a line each: true, false or error.
fn main() -> anyhow::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let mut e = regorus::Engine::new();
    e.set_strict_builtin_errors(false);
    e.add_policy_from_file(&a[1])?;
    let cases = regorus::Value::from_json_file(&a[2])?;
    let cases = cases["cases"].as_array()?.clone();
    for c in cases.iter() {
        let rule = c["rule"].as_string()?.to_string();
        e.set_input(c["input"].clone());
        match e.eval_bool_query(format!("data.agent_policy.{rule}"), false) {
            Ok(b) => println!("{b}"),
            Err(x) => println!("error {x}"),
        }
    }
    Ok(())
}
