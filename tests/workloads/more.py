# SPDX-License-Identifier: Apache-2.0
"""More of the workload matrix: servers, media, office and other interpreters in a second root file system, and a browser.

Rows are as in matrix.py. /opt/app/until.sh tries a command until it succeeds, for a minute and more.
"""
import os
import subprocess
import sys

from matrix import EVERY, ROOT, USER

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "agents"))
import packages  # noqa: E402

# What no package of Debian 12 is, from the other registries: mounted into the container.
PLAYWRIGHT = "1.65.1"
DOTNET = "3.1.23"


def playwright() -> str:
    """Where its node_modules are; it brings no browser."""
    def install(where: str) -> None:
        programs = f"{packages.node()}/bin"
        subprocess.run([f"{programs}/npm", "install", "--prefix", where, "--no-audit", "--no-fund", "--loglevel=error", f"playwright@{PLAYWRIGHT}"],
                       check=True, cwd=where, env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})

    return packages.once(f"playwright-{PLAYWRIGHT}", install)


def dotnet() -> str | None:
    """.NET's runtime; there is one for x86_64 only."""
    if os.uname().machine != "x86_64":
        return None

    def install(where: str) -> None:
        packages.pip(where, f"{where}/site", "dotnetcore2", DOTNET)
        os.chmod(f"{where}/site/dotnetcore2/bin/dotnet", 0o755)

    return packages.once(f"dotnetcore2-{DOTNET}", install)


HOME = "cd $(mktemp -d) && export HOME=$PWD && "
UNTIL = "/opt/app/until.sh "
CHROMIUM = ("echo '<p id=kf></p><script>kf.textContent = \"se\" + \"en\"</script>' >a.html && "
            "timeout 150 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage %s 2>err || { cat err >&2; false; }")

BROWSER = (
    ("browser", "Chromium, headless: a page with a script", HOME + CHROMIUM % "--dump-dom file://$PWD/a.html" + " | grep seen", EVERY, {}),
    ("browser", "Chromium, headless: a picture and a PDF of a page", HOME + CHROMIUM % "--screenshot=$PWD/a.png file://$PWD/a.html" + " && "
     + CHROMIUM % "--print-to-pdf=$PWD/a.pdf file://$PWD/a.html" + " && head -c4 a.png | grep -q PNG && head -c4 a.pdf | grep -q PDF", (ROOT, USER), {}),
    ("browser", "Playwright drives Chromium: a form, a request to a server, a download, a trace", HOME + "/opt/node/bin/node /opt/app/drive.js", (ROOT, USER), {}),
)

SERVERS = (
    ("server", "MariaDB: installed as its user, started, asked", "mkdir -p /var/lib/mysql /run/mysqld && chown mysql /var/lib/mysql /run/mysqld && mariadb-install-db --user=mysql --datadir=/var/lib/mysql/d >/dev/null && "
     "(mariadbd --user=mysql --datadir=/var/lib/mysql/d --skip-networking --pid-file=/run/mysqld/mysqld.pid >/tmp/log 2>&1 &) && " + UNTIL + "mariadb-admin ping && "
     "mariadb -e 'create database a; create table a.t (x int) engine=innodb; insert into a.t values (42); select x from a.t' | grep 42 && mariadb-admin shutdown && " + UNTIL + "test ! -e /run/mysqld/mysqld.pid", (ROOT,), {}),
    ("server", "MariaDB: all of it as one user", HOME + "mariadb-install-db --datadir=$PWD/d --skip-test-db --auth-root-authentication-method=normal >/dev/null && "
     "(mariadbd --no-defaults --datadir=$PWD/d --socket=$PWD/s --skip-networking --pid-file=$PWD/p >log 2>&1 &) && " + UNTIL + "mariadb-admin -u root -S $PWD/s ping && "
     "mariadb -u root -S $PWD/s -e 'select 6*7' | grep 42 && mariadb-admin -u root -S $PWD/s shutdown && " + UNTIL + "test ! -e p", (USER,), {}),
    ("server", "Apache with PHP, its workers as www-data", "apachectl start && " + UNTIL + "curl -sf http://127.0.0.1/a.php | grep php42user && apachectl graceful && " + UNTIL + "curl -sf http://127.0.0.1/a.php | grep php42user && apachectl stop && " + UNTIL + "test ! -e /run/apache2/apache2.pid", (ROOT,), {}),
    ("server", "HAProxy as its user, in its chroot, before a server", HOME + "echo backend >index.html && (python3 -m http.server 8098 --bind 127.0.0.1 >/dev/null 2>&1 & echo $! >pid) && mkdir -p /run/haproxy && "
     "printf 'global\\n chroot /var/lib/haproxy\\n stats socket /run/haproxy/a level admin\\n user haproxy\\n group haproxy\\n daemon\\n pidfile /run/haproxy/p\\ndefaults\\n mode http\\n timeout connect 9s\\n timeout client 9s\\n timeout server 9s\\n"
     "frontend f\\n bind 127.0.0.1:8097\\n default_backend b\\nbackend b\\n server s 127.0.0.1:8098\\n' >c && haproxy -f c && " + UNTIL + "curl -sf http://127.0.0.1:8097/ | grep backend && kill $(cat pid /run/haproxy/p)", (ROOT,), {}),
    ("server", "memcached", HOME + "export P=$((7311 + ($(id -u) > 0))) && memcached -d -l 127.0.0.1 -p $P -P $PWD/p $([ $(id -u) != 0 ] || echo -u memcache) && "
     + UNTIL + "bash /opt/app/cache.sh && kill $(pgrep -nx memcached)", (ROOT, USER), {}),
    ("server", "sshd, keys outside of ~/.ssh: a command, a terminal, sftp", "mkdir -p /run/sshd && rm -rf /tmp/ssh && mkdir /tmp/ssh && ssh-keygen -q -N '' -f /tmp/ssh/k && ssh-keygen -q -N '' -f /tmp/ssh/h && "
     "/usr/sbin/sshd -p 2222 -h /tmp/ssh/h -o ListenAddress=127.0.0.1 -o AuthorizedKeysFile=/tmp/ssh/k.pub -o StrictModes=no -o PidFile=/tmp/ssh/pid -E /tmp/ssh/log && "
     "S='-i /tmp/ssh/k -o StrictHostKeyChecking=no -o UserKnownHostsFile=/tmp/ssh/known -o BatchMode=yes' && "
     + UNTIL + "ssh -p 2222 $S visitor@127.0.0.1 true && ssh -p 2222 $S visitor@127.0.0.1 'id -u; echo x >f; cat f' | grep 2000 && ssh -tt -p 2222 $S root@127.0.0.1 tty | grep pts && echo 'get f /tmp/ssh/got' | sftp -q -P 2222 -b - $S visitor@127.0.0.1 && cat /tmp/ssh/got && kill $(cat /tmp/ssh/pid)",
     (ROOT,), {}),
    ("shell", "tmux: a session, keys, what is on its screen", HOME + "export TERM=xterm && tmux -S $PWD/t -f /dev/null new-session -d -x 80 -y 24 'PS1=tell: sh' && " + UNTIL + "sh -c 'tmux -S $PWD/t capture-pane -p | grep tell:' && "
     "tmux -S $PWD/t send-keys 'echo $((6*7))' Enter && " + UNTIL + "sh -c 'tmux -S $PWD/t capture-pane -p | grep -x 42' && tmux -S $PWD/t send-keys exit Enter && " + UNTIL + "sh -c '! tmux -S $PWD/t has-session'", EVERY, {}),
    ("other languages", "PHP: files, processes, sqlite, its own server", HOME + "php -r 'file_put_contents(\"a\", \"x\"); $p = proc_open([\"cat\", \"a\"], [], $pipes); proc_close($p); $d = new PDO(\"sqlite:d.db\"); "
     "$d->exec(\"create table t (x)\"); echo shell_exec(\"ls\");' && echo '<?php echo 6 * 7;' >a.php && (php -S 127.0.0.1:8096 >/dev/null 2>&1 & echo $! >pid) && " + UNTIL + "curl -sf http://127.0.0.1:8096/a.php | grep 42 && kill $(cat pid)", EVERY, {}),
    ("other languages", "Ruby: threads, processes, a gem built and installed", HOME + "ruby -e 'require \"tempfile\"; Tempfile.create { |f| f.write 1 }; Thread.new { puts `ls /` }.join; Process.wait fork { exit! 0 }; require \"socket\"; TCPServer.new(\"127.0.0.1\", 0)' >/dev/null && "
     "mkdir -p g/lib && cd g && echo 'puts 42' >lib/kfg.rb && echo 'Gem::Specification.new { |s| s.name = \"kfg\"; s.version = \"1\"; s.summary = s.author = \"a\"; s.files = [\"lib/kfg.rb\"] }' >g.gemspec && "
     "gem build -q g.gemspec 2>/dev/null && gem install -q --local --user-install kfg-1.gem && ruby -e 'require \"kfg\"' | grep 42", EVERY, {}),
    ("other languages", "R: a model, processes, a package built and installed", HOME + "Rscript -e 'x <- lm(dist ~ speed, cars); stopifnot(identical(parallel::mclapply(1:2, function(i) i, mc.cores = 2), list(1L, 2L))); "
     "pdf(\"a.pdf\"); plot(cars); invisible(dev.off()); saveRDS(x, \"a.rds\"); print(coef(readRDS(\"a.rds\")))' && mkdir -p p/R l && printf 'Package: kfr\\nVersion: 1.0\\nTitle: T\\nDescription: D.\\nLicense: GPL-2\\nAuthor: A\\nMaintainer: A <a@b.c>\\n' >p/DESCRIPTION && "
     "echo 'export(f)' >p/NAMESPACE && echo 'f <- function() 42' >p/R/f.R && R CMD INSTALL -l l p >/dev/null 2>&1 && R_LIBS=l Rscript -e 'cat(kfr::f())' | grep 42", EVERY, {}),
    ("other languages", "Mono: C# compiled and run", HOME + "mcs -out:a.exe /opt/app/a.cs && mono a.exe | grep 42", EVERY, {}),
    ("other languages", ".NET", HOME + "mcs -out:a.dll /opt/app/a.cs && printf '{\"runtimeOptions\": {\"framework\": {\"name\": \"Microsoft.NETCore.App\", \"version\": \"3.1.0\"}}}' >a.runtimeconfig.json && "
     "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 /opt/dotnet/dotnet a.dll | grep 42", EVERY, {}),
    ("other languages", "a Jupyter kernel: a notebook executed", HOME + "cp /opt/app/a.ipynb . && jupyter-nbconvert --to notebook --execute --output b.ipynb a.ipynb 2>log && grep -q '\"42\\\\n\"\\|\"42\"' b.ipynb || { cat log b.ipynb >&2; false; }", EVERY, {}),
    ("media", "ffmpeg: video and sound made, coded and read back", HOME + "ffmpeg -v error -nostdin -f lavfi -i testsrc=d=1:s=160x120 -f lavfi -i sine=d=1 -c:v libx264 -c:a aac a.mp4 && ffmpeg -v error -nostdin -i a.mp4 -vf scale=80:60 b.webm && ffprobe -v error -show_entries format=nb_streams -of csv b.webm | grep 2", EVERY, {}),
    ("media", "ImageMagick", HOME + "convert -size 64x64 gradient:red-blue -rotate 30 a.png && convert a.png -resize 50% b.jpg && identify b.jpg && MAGICK_THREAD_LIMIT=4 convert -size 2000x2000 plasma: -blur 0x2 c.gif", EVERY, {}),
    ("media", "LibreOffice: a text to PDF", HOME + "echo forty-two >a.txt && timeout 200 soffice -env:UserInstallation=file://$PWD/lo --headless --convert-to pdf a.txt >log 2>&1 && head -c4 a.pdf | grep -q PDF || { cat log >&2; false; }", EVERY, {}),
)

FILES = {
    "opt/app/cache.sh": "exec 3<>/dev/tcp/127.0.0.1/$P && printf 'set a 0 0 2\\r\\n42\\r\\nget a\\r\\n' >&3 && while read -r l <&3; do case $l in 42*) exit 0;; END*) exit 1;; esac; done; exit 1\n",
    "var/www/html/a.php": "<?php echo 'php', 6 * 7, posix_geteuid() ? 'user' : 'root'; session_start(); file_put_contents(tempnam('/tmp', 'a'), 'x');\n",
    "opt/app/until.sh": "#!/bin/sh\nfor i in $(seq 600); do \"$@\" >/tmp/until-$$ 2>&1 && { cat /tmp/until-$$; rm /tmp/until-$$; exit 0; }; sleep 0.1; done\ncat /tmp/until-$$ >&2\nexit 1\n",
    "opt/app/a.cs": "using System; using System.IO; using System.Threading; using System.Diagnostics;\nclass A {\n    static void Main() {\n        string f = Path.GetTempFileName(); File.WriteAllText(f, \"42\");\n"
                    "        var t = new Thread(() => Console.WriteLine(File.ReadAllText(f))); t.Start(); t.Join();\n        var p = Process.Start(new ProcessStartInfo(\"ls\", \"/\") { RedirectStandardOutput = true, UseShellExecute = false });\n"
                    "        p.StandardOutput.ReadToEnd(); p.WaitForExit(); GC.Collect();\n        using (var l = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp)) {\n"
                    "            l.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0)); l.Listen(1);\n        }\n    }\n}\n",
    "opt/app/a.ipynb": "{\"cells\": [{\"cell_type\": \"code\", \"execution_count\": null, \"metadata\": {}, \"outputs\": [], \"source\": [\"import subprocess, threading\\n\", \"subprocess.run(['ls'], capture_output=True)\\n\", \"print(6 * 7)\"]}], "
                       "\"metadata\": {\"kernelspec\": {\"display_name\": \"Python 3\", \"language\": \"python\", \"name\": \"python3\"}}, \"nbformat\": 4, \"nbformat_minor\": 4}\n",
    "opt/app/drive.js": """const { chromium } = require('/opt/playwright/node_modules/playwright'), assert = require('assert'), fs = require('fs'), http = require('http');
(async () => {
    const server = http.createServer((q, r) => {
        r.setHeader('content-type', q.url == '/file' ? 'application/octet-stream' : 'text/html');
        r.end(q.url == '/' ? '<input id=i><a id=d href=/file download=f>d</a><script>i.onchange = async () => document.title = await (await fetch("/t" + i.value)).text()</script>' : 'got ' + q.url);
    }).listen(0, '127.0.0.1');
    await new Promise((done) => server.on('listening', done));
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', timeout: 180000 });
    const context = await browser.newContext();
    context.setDefaultTimeout(120000);
    await context.tracing.start({ snapshots: true, screenshots: true });
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.fill('#i', '42');
    await page.press('#i', 'Enter');
    await page.waitForFunction(() => document.title == 'got /t42');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#d')]);
    await download.saveAs('f');
    assert.equal(fs.readFileSync('f', 'utf8'), 'got /file');
    await page.screenshot({ path: 'a.png' });
    await page.pdf({ path: 'a.pdf' });
    await context.tracing.stop({ path: 't.zip' });
    assert(fs.statSync('t.zip').size && fs.statSync('a.png').size && fs.statSync('a.pdf').size);
    await browser.close();
    server.close();
    console.log('driven');
})().catch((e) => { console.error(e); process.exit(1); });
""",
}
# sshd's visitor.
USERS = {"etc/passwd": "visitor:*:2000:2000::/home/visitor:/bin/sh\n", "etc/group": "visitor:x:2000:\n"}
