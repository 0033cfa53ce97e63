"""The parameters of notebook 01: what each may be."""

from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Device, Images, LessonParameters, Rate


class CentralizedParameters(LessonParameters):
    """Parameters of notebook 01."""

    dataset: DatasetName
    num_clients: Count
    max_images: Images
    epochs: Count
    patience: Count
    batch_size: Count
    learning_rate: Rate
    device: Device


check_parameters = CentralizedParameters.check
