#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run rdma-core's own test suite (pyverbs) in the guest.

    suite.py [--jobs N] [--retries N] [--once TEST]... [--timeout S]
             [--huge-pages N] RESULTS [PATTERN...]

Writes RESULTS, one test a line: status, attempts, seconds, name and a reason,
separated by tabs. The status is ok, skip or fail. The exit status is 0 when the suite
could be run, whatever its tests say. A PATTERN picks the tests whose name
contains it. What fails is tried again, the tests that --once names excepted.

The suite comes compressed in rdma-core's documentation folder. All of it in one
process ends in a segmentation fault, so each test module has a process of its
own. That is a fork of this one, which has everything imported: starting Python
anew for each takes longer than the tests. A test that kills its process or
hangs has failed; the rest of its module goes on in another fork.
"""

import argparse
import gzip
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unittest

SUITE = '/usr/share/doc/rdma-core/tests'
HUGE = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
# Tests of other devices' own interfaces.
FOREIGN = ('test_mlx5', 'test_efa', 'test_cuda')


def unpack(where):
    """Copy the suite to where/tests, without what is for other devices."""
    tests = os.path.join(where, 'tests')
    os.mkdir(tests)
    for name in os.listdir(SUITE):
        if name.startswith(FOREIGN):
            continue
        source = os.path.join(SUITE, name)
        if name.endswith('.gz'):
            with gzip.open(source) as packed, \
                 open(os.path.join(tests, name[:-3]), 'wb') as plain:
                shutil.copyfileobj(packed, plain)
        elif name.endswith('.py'):
            shutil.copy(source, tests)
    return tests


def load(where, device):
    """Import the suite; return {module: [test, ...]}."""
    tests = unpack(where)
    # "from args_parser import" and "from tests.base import" both occur.
    sys.path[:0] = [where, tests]
    sys.argv[1:] = ['--dev', device]
    import args_parser                  # pylint: disable=import-error
    args_parser.parser.parse_args()
    import tests as suite               # pylint: disable=import-error
    modules = {}
    loader = unittest.TestLoader()
    # The loader is asked for one module at a time: the package's own
    # load_tests() has no such order.
    for module in suite.__test_modules__:
        cases = []
        pending = [loader.loadTestsFromModule(module)]
        while pending:
            item = pending.pop(0)
            if isinstance(item, unittest.TestSuite):
                pending[:0] = list(item)
            else:
                cases.append(item)
        modules[module.__name__.split('.')[-1]] = cases
    return modules


class Reporter(unittest.TestResult):
    """Tell the parent about each test as it starts and ends."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe

    def say(self, what, test, reason=''):
        line = '\t'.join((what, test.id(), ' '.join(reason.split())))
        os.write(self.pipe, line.encode() + b'\n')

    # A subtest, or a whole class in setUpClass, is not a test of its own.
    def bad(self, test, err):
        test = getattr(test, 'test_case', test)
        traceback.print_exception(*err)
        self.say('fail', test, f'{err[0].__name__}: {err[1]}')

    def startTest(self, test):
        super().startTest(test)
        print(f'\n=== {test.id()}', flush=True)
        self.say('start', test)

    def addSuccess(self, test):
        self.say('ok', test)

    def addSkip(self, test, reason):
        self.say('skip', test, reason)

    def addError(self, test, err):
        self.bad(test, err)

    def addFailure(self, test, err):
        self.bad(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.bad(test, err)

    def addExpectedFailure(self, test, err):
        self.say('ok', test)

    def addUnexpectedSuccess(self, test):
        self.say('fail', test, 'unexpected success')


class Module:
    """The fork that runs the tests of one module."""

    def __init__(self, name, cases, log):
        self.name = name
        self.cases = cases
        self.log = log
        self.current = None
        self.buffer = b''
        self.since = time.monotonic()
        self.pipe, writer = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.child(writer)
        os.close(writer)

    def child(self, writer):
        status = 1
        try:
            os.setpgid(0, 0)
            os.close(self.pipe)
            with open(self.log, 'ab', 0) as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            unittest.TestSuite(self.cases).run(Reporter(writer))
            status = 0
        except BaseException:           # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(self.pid, signal.SIGKILL)


class Run:
    """One pass over the tests: at most `jobs` modules at a time."""

    def __init__(self, args):
        self.args = args
        self.results = {}               # name: (status, seconds, reason)
        self.active = []

    def record(self, name, status, seconds, reason):
        # What has failed stays so: tearDown may complain after the test.
        if self.results.get(name, ('',))[0] != 'fail':
            self.results[name] = (status, seconds, reason)

    def lines(self, module):
        """Take in what a fork says; False when it has closed its pipe."""
        data = os.read(module.pipe, 65536)
        module.buffer += data
        *lines, module.buffer = module.buffer.split(b'\n')
        for line in lines:
            what, name, reason = line.decode().split('\t', 2)
            seconds = time.monotonic() - module.since
            if what == 'start':
                module.current = name
                module.since += seconds
            else:
                self.record(name, what, seconds, reason)
        return bool(data)

    def ended(self, module, why=None):
        """A fork is gone: blame its last test if tests are left undone."""
        os.close(module.pipe)
        self.active.remove(module)
        _, status = os.waitpid(module.pid, 0)
        left = [t for t in module.cases if t.id() not in self.results]
        if not left:
            return
        if not why:
            if os.WIFSIGNALED(status):
                why = 'killed by ' + signal.Signals(os.WTERMSIG(status)).name
            else:
                why = 'its process ended early'
        blamed = module.current
        if blamed in self.results or blamed is None:
            blamed = left[0].id()
        self.record(blamed, 'fail', time.monotonic() - module.since, why)
        left = [t for t in left if t.id() not in self.results]
        if left:
            self.start(module.name, left, module.log)

    def start(self, name, cases, log):
        self.active.append(Module(name, cases, log))

    def modules(self, modules):
        waiting = list(modules.items())
        while waiting or self.active:
            while waiting and len(self.active) < self.args.jobs:
                name, cases = waiting.pop(0)
                self.start(name, cases, f'{self.args.logs}/{name}.log')
            ready, _, _ = select.select([m.pipe for m in self.active],
                                        [], [], 1)
            for module in list(self.active):
                if module.pipe in ready:
                    if not self.lines(module):
                        self.ended(module)
                elif time.monotonic() - module.since > self.args.timeout:
                    module.kill()
                    self.ended(module,
                               f'no end after {self.args.timeout} seconds')
        return self.results


def main():
    parser = argparse.ArgumentParser(description='rdma-core\'s test suite')
    parser.add_argument('--dev', default='rxe0')
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--retries', type=int, default=2)
    parser.add_argument('--once', action='append', default=[])
    parser.add_argument('--timeout', type=int, default=60)
    parser.add_argument('--huge-pages', type=int, default=0)
    parser.add_argument('results')
    parser.add_argument('patterns', nargs='*')
    args = parser.parse_args()
    args.logs = os.path.splitext(args.results)[0] + '.logs'
    os.makedirs(args.logs, exist_ok=True)

    if not os.path.isdir(SUITE):
        sys.exit(f'suite.py: error: {SUITE} is missing: install rdma-core '
                 'with its documentation')
    if args.huge_pages:
        with open(HUGE, 'w', encoding='ascii') as pool:
            pool.write(str(args.huge_pages))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as where:
        modules = load(where, args.dev)
        if args.patterns:
            modules = {name: [t for t in cases
                              if any(p in t.id() for p in args.patterns)]
                       for name, cases in modules.items()}
        modules = {name: cases for name, cases in modules.items() if cases}
        loaded = time.monotonic()
        results, attempts = {}, {}
        for attempt in range(1, args.retries + 2):
            for name, result in Run(args).modules(modules).items():
                results[name] = result
                attempts[name] = attempt
            modules = {name: [t for t in cases
                              if results[t.id()][0] == 'fail' and
                              t.id() not in args.once]
                       for name, cases in modules.items()}
            modules = {name: cases for name, cases in modules.items() if cases}
            if not modules:
                break

    with open(args.results, 'w', encoding='utf-8') as out:
        for name in sorted(results):
            status, seconds, reason = results[name]
            out.write(f'{status}\t{attempts[name]}\t{seconds:.1f}\t{name}'
                      f'\t{reason}\n')
    count = {s: sum(r[0] == s for r in results.values())
             for s in ('ok', 'fail', 'skip')}
    print(f'{count["ok"]} ok, {count["fail"]} failed, {count["skip"]} skipped '
          f'({time.monotonic() - start:.0f} s, of which '
          f'{loaded - start:.0f} s to load)')


if __name__ == '__main__':
    main()
