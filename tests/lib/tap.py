# SPDX-License-Identifier: Apache-2.0
"""TAP for test programs: t = Tap(); t.ok(condition, "what it proves", detail); sys.exit(t.done())."""
import sys
import traceback


class Tap:
    def __init__(self) -> None:
        self.n = 0
        self.failed = 0

    def ok(self, condition, name: str, detail="") -> bool:
        self.n += 1
        if not condition:
            self.failed += 1
        print(f"{'ok' if condition else 'not ok'} {self.n} - {name.replace('#', '')}", flush=True)
        if not condition and detail != "":
            for line in str(detail).splitlines():
                print(f"#   {line}", flush=True)
        return bool(condition)

    def equal(self, got, want, name: str) -> bool:
        return self.ok(got == want, name, f"got:  {got!r}\nwant: {want!r}")

    def skip(self, name: str, why: str) -> None:
        """Only for what this machine cannot have; never to get past a failure."""
        self.n += 1
        print(f"ok {self.n} - {name.replace('#', '')} # SKIP {why}", flush=True)

    def case(self, name: str, fn, *args) -> None:
        """Run fn(); an exception is this test's failure, not the program's."""
        try:
            fn(*args)
        except Exception:  # every kind is a failed test
            self.ok(False, name, traceback.format_exc())

    def done(self) -> int:
        print(f"1..{self.n}", flush=True)
        return 1 if self.failed or not self.n else 0


def die(message: str) -> None:
    print(f"Bail out! {message}", flush=True)
    sys.exit(1)
