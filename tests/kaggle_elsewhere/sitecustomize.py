"""Site: let Kaggle's client in another process ask a host that is reached by a proxy alone; loopback never is."""

from kagglesdk.kaggle_env import KaggleEnv, _env_to_endpoint

_env_to_endpoint[KaggleEnv.LOCAL] = "http://kaggle.test"
