// SPDX-License-Identifier: Apache-2.0
// Reads jobs, one JSON object a line, has a real browser do each, and answers with one line: see browser.py.
"use strict";
const [modules, executablePath, axeFile] = process.argv.slice(2);
const { chromium } = require(`${modules}/playwright`);
const axe = require("fs").readFileSync(axeFile, "utf8");
const patience = 120000; // milliseconds, on a busy machine

async function look(browser, job) {
  const context = await browser.newContext({ viewport: { width: job.width, height: job.height }, colorScheme: job.scheme });
  const page = await context.newPage();
  const said = [], asked = [];
  const devtools = await context.newCDPSession(page);
  // Not by way of the page's own eval(), which its policy may forbid.
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await devtools.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const until = async (expression) => {
    const end = Date.now() + patience;
    while (!(await evaluate(expression).catch(() => false))) {
      if (Date.now() > end) throw new Error(`never: ${expression}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  page.setDefaultTimeout(patience);
  page.on("console", (m) => said.push(`${m.type()}: ${m.text()}`));
  page.on("pageerror", (e) => said.push(`error: ${e.message}`));
  page.on("dialog", (d) => { said.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on("request", (r) => asked.push(r.url()));
  const answer = { said, asked };
  try {
    await page.goto(job.url);
    if (job.until) await until(job.until);
    for (const step of job.steps ?? []) {
      if (step.fill) await page.fill(step.fill, step.text);
      if (step.select) await page.selectOption(step.select, step.text);
      if (step.click) await page.click(step.click);
      if (step.until) await until(step.until);
    }
    answer.value = job.value ? await evaluate(job.value) : null;
    answer.overflow = await evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    if (job.axe) {
      await evaluate(axe + ";0");
      const found = await evaluate(`axe.run(document, {resultTypes: ["violations"]})`);
      answer.rules = found.violations.length + found.passes.length;
      answer.violations = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | ")}`);
    }
    if (job.picture) await page.screenshot({ path: job.picture, fullPage: job.whole ?? false });
  } finally {
    await context.close();
  }
  return answer;
}

async function main() {
  const browser = await chromium.launch({ executablePath, chromiumSandbox: false, timeout: patience, args: ["--disable-gpu", "--disable-dev-shm-usage"] });
  for await (const line of require("readline").createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = await look(browser, JSON.parse(line));
    } catch (e) {
      answer = { failed: String(e) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await browser.close();
}

main();
