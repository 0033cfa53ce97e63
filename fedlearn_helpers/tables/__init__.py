"""Tables of several sites: four hospitals, or your own folder; checked at each site, then made a model's inputs."""

from fedlearn_helpers.tables.checks import Finding, check_site
from fedlearn_helpers.tables.dataset import as_dataset
from fedlearn_helpers.tables.features import Standardizer, feature_names, impute, model_inputs
from fedlearn_helpers.tables.folder import load_sites, save_sites
from fedlearn_helpers.tables.heart import load_heart
from fedlearn_helpers.tables.models import new_logistic_regression, new_small_network
from fedlearn_helpers.tables.schema import HEART, Column, Schema
from fedlearn_helpers.tables.site import SiteTable
from fedlearn_helpers.tables.split import split_site

__all__ = [
    "HEART",
    "Column",
    "Finding",
    "Schema",
    "SiteTable",
    "Standardizer",
    "as_dataset",
    "check_site",
    "feature_names",
    "impute",
    "load_heart",
    "load_sites",
    "model_inputs",
    "new_logistic_regression",
    "new_small_network",
    "save_sites",
    "split_site",
]
