"""Recurrent layers a second time, one row after another, from their definitions; weights as torch stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = Any  # float64
Weights = Mapping[str, Array]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def lstm_cell(gates: Array, c: Array) -> tuple[Array, Array]:
    """Input, forget, cell, output: h, c."""
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm(rows: Array, w: Weights, name: str) -> Array:
    """The state after every row."""
    h = c = np.zeros(w[f"{name}.weight_hh_l0"].shape[1])
    states = []
    for row in rows:
        gates = w[f"{name}.weight_ih_l0"] @ row + w[f"{name}.bias_ih_l0"]
        gates = gates + w[f"{name}.weight_hh_l0"] @ h + w[f"{name}.bias_hh_l0"]
        h, c = lstm_cell(gates, c)
        states.append(h)
    return np.stack(states)


def bilstm(rows: Array, w: Weights, name: str) -> Array:
    """Forward and backward states side by side."""
    back = lstm(rows[::-1], w, f"{name}.backwards")[::-1]
    return np.concatenate([lstm(rows, w, f"{name}.forwards"), back], axis=1)


def gru(rows: Array, w: Weights, name: str, layers: int) -> Array:
    """The state after every row, of the last layer."""
    for layer in range(layers):
        h = np.zeros(w[f"{name}.weight_hh_l{layer}"].shape[1])
        states = []
        for row in rows:
            seen = np.split(w[f"{name}.weight_ih_l{layer}"] @ row + w[f"{name}.bias_ih_l{layer}"], 3)
            kept = np.split(w[f"{name}.weight_hh_l{layer}"] @ h + w[f"{name}.bias_hh_l{layer}"], 3)
            reset, update = sigmoid(seen[0] + kept[0]), sigmoid(seen[1] + kept[1])
            new = np.tanh(seen[2] + reset * kept[2])
            h = (1 - update) * new + update * h
            states.append(h)
        rows = np.stack(states)
    return rows
