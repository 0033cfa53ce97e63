"""Tables of several sites as a scenario: what is a number is scaled by all clients' training rows together."""

from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import torch

from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.scenarios.field import ClientExamples, FieldScenario, Part, check_names, new_scenario
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.tables import (
    SiteTable,
    Standardizer,
    feature_names,
    model_inputs,
    new_logistic_regression,
    split_site,
)
from fedlearn_helpers.tasks import rare_class

_TEST, _VALIDATION = 0.2, 0.25  # of a site's rows, and of what is left then


def scenario_of_tables(
    sites: Sequence[SiteTable],
    *,
    name: str,
    about: str,
    leave_out: Collection[str] = (),
    seed: int = 0,
    local_config: LocalConfig = LocalConfig(batch_size=16, learning_rate=0.05),  # noqa: B008 - frozen
    num_rounds: int = 20,
    rate_alone: float = 0.05,
    rate_adapting: float = 0.01,
    epochs_adapting: int = 1,
    attribution: str = "",
) -> FieldScenario:
    """Return a scenario of tables with a yes-no label, such as your own: `scenario_of_tables(load_sites(folder), ...)`.

    Of each site's rows 60 % are to train on, 20 % to validate on and 20 % to test on, drawn at random with the label's
    mixture. Means, deviations, medians for missing values and the label's share are those of the training rows of all
    clients that train: in the field they would come from sums over sites (`fedlearn_helpers.statistics`). The model is
    a logistic regression; accuracy is balanced accuracy, at the threshold of the label's share, so that a rare label
    counts as much as a frequent one.

    Args:
        sites: of one schema, with at least 3 rows each, and names of their own.
        name, about, local_config, num_rounds, rate_alone, rate_adapting, epochs_adapting, attribution: as in
            `FieldScenario`.
        leave_out: names of sites that do not train, but are there as unseen clients.
        seed: decides which rows are for what.

    Raises:
        InputError: no sites, several schemas, two sites of one name, a site of fewer than 3 rows, a name to leave out
            that no site has, a column without any value, a number that is always the same, or labels that are all the
            same.
    """
    check_seed(seed)
    if len(sites) == 0:
        raise InputError("sites must be at least one table, got none")
    schema = sites[0].schema
    for site in sites:
        if site.schema != schema:
            raise InputError(f"sites must have one schema, got another one for {site.name!r} than {sites[0].name!r}")
        if len(site) < 3:
            raise InputError(f"sites must have at least 3 rows each, got {len(site)} in {site.name!r}")
    check_names([site.name for site in sites], leave_out)
    splits = {}
    for site in sites:
        rest, test = split_site(site, _TEST, derive_seed(seed, "test"))
        splits[site.name] = (*split_site(rest, _VALIDATION, derive_seed(seed, "validation")), test)
    trained = [train for site, (train, _, _) in splits.items() if site not in leave_out]
    pooled = np.concatenate([train.values for train in trained])
    labels = np.concatenate([train.labels for train in trained])
    if empty := [name for name, missing in zip(schema.names, np.isnan(pooled).all(axis=0), strict=True) if missing]:
        raise InputError(f"sites must have a value in each column, got none in {empty[0]!r}")
    if len(np.unique(labels)) < 2:
        raise InputError(f"sites must have both labels, got {labels[0]} in all training rows")
    standardizer = Standardizer(schema, np.nanmean(pooled, axis=0), np.nanstd(pooled, axis=0))
    # A category's fill value must be one of its codes: the lower of two middle values is.
    fill = np.nanquantile(pooled, 0.5, axis=0, method="lower")
    flags = [name for name, missing in zip(schema.names, np.isnan(pooled).any(axis=0), strict=True) if missing]

    def part(table: SiteTable) -> Part:
        inputs = model_inputs(table, fill=fill, standardizer=standardizer, missing_indicators=flags)
        return torch.from_numpy(inputs), torch.from_numpy(table.labels.copy())

    share = float(labels.mean())
    return new_scenario(
        [ClientExamples(site, *(part(table) for table in three)) for site, three in splits.items()],
        leave_out=leave_out,
        name=name,
        about=about,
        task=rare_class(share),
        make_model=partial(new_logistic_regression, len(feature_names(schema, flags))),
        local_config=local_config,
        num_rounds=num_rounds,
        rate_alone=rate_alone,
        rate_adapting=rate_adapting,
        epochs_adapting=epochs_adapting,
        metric=f"balanced accuracy: the mean of the shares of {schema.label.name} = 1 and of {schema.label.name} = 0 "
        f"that are recognized, where more than {share:.1%} is called 1; always guessing the same gives 0.5",
        attribution=attribution,
    )
