"""Vertical federated learning: two parties with other columns of the same patients find them, and train one model."""

from fedlearn_helpers.vertical.federation import VerticalRun, federate_two_parties
from fedlearn_helpers.vertical.leakage import (
    GaussianNoise,
    features_from_scores,
    label_auc,
    labels_from_residuals,
    residuals_from_gradients,
    similarities_from_scores,
)
from fedlearn_helpers.vertical.logistic import gradient, loss, pooled_weights, residuals, sigmoid, train
from fedlearn_helpers.vertical.matching import (
    blind,
    blind_again,
    guess_hashed_ids,
    hashed,
    match,
    new_exponent,
    normalized,
    shared,
)
from fedlearn_helpers.vertical.party import Party

__all__ = [
    "GaussianNoise",
    "Party",
    "VerticalRun",
    "blind",
    "blind_again",
    "features_from_scores",
    "federate_two_parties",
    "gradient",
    "guess_hashed_ids",
    "hashed",
    "label_auc",
    "labels_from_residuals",
    "loss",
    "match",
    "new_exponent",
    "normalized",
    "pooled_weights",
    "residuals",
    "residuals_from_gradients",
    "shared",
    "sigmoid",
    "similarities_from_scores",
    "train",
]
