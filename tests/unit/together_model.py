#!/usr/bin/env python3
"""`together` a second time, from its formulas, and compared with what the agent computes.

usage: together_model.py PROGRAM [READINGS]     PROGRAM is together_rows, which reads rows and writes what it says of them

Sources of 3, 8 and 52 tags with common factors, faults, gaps and columns that stand still; the score of every row agrees to
1e-9, tag, kind and state exactly. Sums run over the tags in their order, and what is kept in single precision is rounded here too.
"""
import math
import random
import struct
import subprocess
import sys

FLOAT = struct.Struct("f")
LAMBDA, SHRINK, CLIP, CUT = 0.2, 0.2, 12.0, 4.0
FORGET = math.log(2) / 2000


def single(v):
    return FLOAT.unpack(FLOAT.pack(v))[0]


def clamp(v, most):
    return max(-most, min(most, v))


def inverse(a):
    """Of a symmetric matrix, by Cholesky: A = L L', so A^-1 = K'K with K = L^-1."""
    d = len(a)
    low = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(i + 1):
            s = a[i][j]
            for k in range(j):
                s -= low[i][k] * low[j][k]
            low[i][j] = math.sqrt(max(s, 1e-9)) if i == j else s / low[j][j]
    inv = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(i):
            s = 0.0
            for k in range(j, i):
                s -= low[i][k] * inv[k][j]
            inv[i][j] = s / low[i][i]
        inv[i][i] = 1 / low[i][i]
    out = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, d):
                s += inv[k][i] * inv[k][j]
            out[i][j] = out[j][i] = single(s)
    return out


class Model:
    def __init__(self, d, settle):
        self.d, self.settle, self.limit = d, settle, math.sqrt(3.5**2 + 3 * math.log(d / 8))
        self.mean, self.last, self.seen = [0.0] * d, [0.0] * d, [False] * d
        self.sd, self.resolution = [0.0] * d, [0.0] * d
        self.cov = [[0.0] * d for _ in range(d)]
        self.z, self.rest, self.steps = [0.0] * d, [0.0] * d, [0.0] * d
        self.z_var, self.rest_var, self.n_mean, self.n_var = [0.0] * d, [0.0] * d, [0.0] * d, [0.0] * d
        self.row_mean = self.row_var = 0.0
        self.rows = self.taught = self.away = self.over = self.under = 0
        self.on = False

    def refresh(self):
        d = self.d
        for i in range(d):
            floor = self.resolution[i] / 2 or 1e-9 * abs(self.mean[i]) + 1e-12
            self.sd[i] = single(max(math.sqrt(self.cov[i][i]), floor))
        r = [[0.0] * d for _ in range(d)]
        for i in range(d):
            r[i][i] = 1.0
            for j in range(i):
                r[i][j] = r[j][i] = (1 - SHRINK) * self.cov[i][j] / self.sd[i] / self.sd[j]
        self.inv = inverse(r)
        self.root = [math.sqrt(self.inv[i][i]) for i in range(d)]

    def deviations(self, x):
        away = [0.0] * self.d
        for i, v in enumerate(x):
            if v is None:
                continue
            if not self.seen[i]:
                self.mean[i] = self.last[i] = v
                self.seen[i] = True
            step = abs(v - self.last[i])
            if step > 0 and (self.resolution[i] == 0 or step < self.resolution[i]):
                if self.resolution[i] == 0:
                    self.sd[i] = max(self.sd[i], single(step / 2))
                self.resolution[i] = single(step)
            away[i] = v - self.mean[i]
        return away

    def row(self, x):
        said = (0.0, 0, 0, False)
        warm = False
        if sum(v is not None for v in x) < 3:
            return said, warm, self.on, False
        away = self.deviations(x)
        n = self.rows
        if n >= 30 and (n == 30 or n % (20 if n < 400 else 200) == 0):
            self.refresh()
        distance = 0.0
        if n >= 30:
            z = [clamp(a / self.sd[i], CLIP) if x[i] is not None else 0.0 for i, a in enumerate(away)]
            said, distance = self.judge(x, z)
            warm = n >= 400
            self.away = self.away + 1 if warm and said[0] >= 0.8 * self.limit else 0
            if warm:
                self.over = self.over + 1 if said[0] >= self.limit else 0
                self.under = self.under + 1 if said[0] < 0.7 * self.limit else 0
                self.on = self.under < 10 if self.on else self.over >= 3
        settled = self.away > self.settle
        if not self.away or settled:
            self.learn(x, away, distance)
        for i, v in enumerate(x):
            if v is not None:
                self.last[i] = v
        self.rows += 1
        return said, warm, self.on, settled

    def judge(self, x, z):
        d, here = self.d, [i for i, v in enumerate(x) if v is not None]
        for i in range(d):
            if x[i] is None:
                z[i] = -sum_in_order(self.inv[i][j] * z[j] for j in range(d) if j != i) / self.inv[i][i]
        g = [sum_in_order(self.inv[i][j] * z[j] for j in range(d)) for i in range(d)]
        distance = math.sqrt(max(sum_in_order(g[i] * z[i] for i in range(d)), 0.0))
        rest = [g[i] / self.root[i] for i in range(d)]
        for i in here:
            step = min(abs(x[i] - self.last[i]) / self.sd[i], CLIP)
            self.z[i] = single(self.z[i] + LAMBDA * (z[i] - self.z[i]))
            self.rest[i] = single(self.rest[i] + LAMBDA * (clamp(rest[i], CLIP) - self.rest[i]))
            self.steps[i] = single(self.steps[i] + LAMBDA * (step - self.steps[i]))
        logs = [math.log(0.05 + s) for s in self.steps]
        if self.rows == 30:
            for i in range(d):
                self.z_var[i] = self.rest_var[i] = single(LAMBDA / (2 - LAMBDA))
                self.n_mean[i], self.n_var[i] = single(logs[i]), single(0.1)
            self.row_mean, self.row_var = single(distance), 1.0
        best = (0.0, 0, 0, False)
        for i in here:
            for by, score, up in ((0, abs(self.z[i]) / math.sqrt(self.z_var[i]), self.z[i] > 0),
                                  (1, abs(self.rest[i]) / math.sqrt(self.rest_var[i]), self.rest[i] > 0),
                                  (2, (logs[i] - self.n_mean[i]) / math.sqrt(self.n_var[i]), True)):
                if score > best[0]:
                    best = (score, i, by, up)
        odd = max(here, key=lambda i: abs(rest[i]))
        score = (distance - self.row_mean) / math.sqrt(self.row_var)
        return ((score, odd, 3, g[odd] > 0) if score > best[0] else best), distance

    def learn(self, x, away, distance):
        n, here = self.rows, [i for i, v in enumerate(x) if v is not None]
        if n >= 30:
            self.taught += 1
            w = max(1 / (self.taught + 10), FORGET)
            for i in here:
                for var, v in ((self.z_var, self.z[i]), (self.rest_var, self.rest[i])):
                    c = clamp(v, CUT * math.sqrt(var[i]))
                    var[i] = max(single(var[i] + w * (c * c - var[i])), single(1e-6))
                self.n_mean[i], self.n_var[i] = learned(self.n_mean[i], self.n_var[i], math.log(0.05 + self.steps[i]), w)
            self.row_mean, self.row_var = learned(self.row_mean, self.row_var, distance, w)
            away = [clamp(a, CUT * self.sd[i]) for i, a in enumerate(away)]
        w = max(1 / (n + 1), FORGET)
        for i in here:
            mine = w * away[i]
            for j in here:
                if j <= i:
                    self.cov[i][j] = self.cov[j][i] = single((1 - w) * (self.cov[i][j] + mine * away[j]))
        for i in here:
            self.mean[i] += w * away[i]


def sum_in_order(terms):
    s = 0.0
    for t in terms:
        s += t
    return s


def learned(mean, var, v, w):
    d = clamp(v - mean, CUT * math.sqrt(var))
    return single(mean + w * d), max(single(var + w * (d * d - var)), single(1e-3))


def rows_of(rng, d, n):
    """Common factors, own noise, coarse and still columns; faults of four kinds; gaps."""
    q = max(2, d // 4)
    factor = [0.0] * q
    load = [[rng.gauss(0, 1) if rng.random() < .5 else 0.0 for _ in range(q)] for _ in range(d)]
    scale, at = [10 ** rng.uniform(-2, 2) for _ in range(d)], [rng.uniform(-100, 100) for _ in range(d)]
    bad, kind, held = 0, 0, [0.0] * d
    for t in range(n):
        factor = [.95 * f + .3 * rng.gauss(0, 1) for f in factor]
        x = [sum_in_order(f * v for f, v in zip(factor, load[i])) + rng.gauss(0, .5) for i in range(d)]
        if t % 1500 == 700:
            bad, kind, held = rng.randrange(d), t // 1500 % 4, list(x)
        if 700 <= t % 1500 < 950:
            x[bad] = (x[bad] + 4, held[bad], x[bad] + 2 * rng.gauss(0, 1), x[bad] + (t % 1500 - 700) / 50)[kind]
        x = [v * scale[i] + at[i] for i, v in enumerate(x)]
        x[0] = round(x[0] / scale[0]) * scale[0]
        if d > 3:
            x[1] = 7.0 if t < n // 2 else 8.0
        yield [None if rng.random() < .002 or (i == d - 1 and t < 50) else v for i, v in enumerate(x)]


def compare(program, d, n, seed):
    rows = list(rows_of(random.Random(seed), d, n))
    sent = struct.pack("II", d, 200) + b"".join(
        struct.pack(f"{d}d", *(math.nan if v is None else v for v in row)) for row in rows)
    got = subprocess.run([program], input=sent, stdout=subprocess.PIPE, check=True).stdout
    form, model, worst, alarms, was = struct.Struct("dd6I"), Model(d, 200), 0.0, 0, False
    assert len(got) == n * form.size, f"{len(got)} bytes came back of {n} rows"
    for t, (row, said) in enumerate(zip(rows, form.iter_unpack(got))):
        (score, tag, by, up), warm, on, settled = model.row(row)
        worst = max(worst, abs(score - said[0]) / max(1.0, score))
        mine = (tag, by, int(up), int(warm), int(on), int(settled))
        if worst > 1e-9 or abs(said[1] - model.limit) > 1e-12 or mine != said[2:]:
            sys.exit(f"{d} tags, row {t}: model {score!r} {mine}, agent {said[0]!r} {said[2:]}")
        alarms, was = alarms + (on and not was), on
    print(f"{d} tags, {n} rows: {alarms} alarms, greatest difference {worst:.1e}")
    return alarms


def main():
    program, readings = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    alarms = sum(compare(program, d, max(readings // 3 // d, 500), d) for d in (3, 8, 52))
    if not alarms:
        sys.exit("no alarm at all: the rows show nothing")


main()
