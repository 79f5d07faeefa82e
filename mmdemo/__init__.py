"""mmdemo: a private multimodal studio in the browser."""

import os

__version__ = "0.1.0"

# Before anything imports torch: its OpenMP threads otherwise spin while they wait for each other, and when another
# program uses the cores as well, small models then run about ten times slower (measured: 1 to 2 against 7 to 16
# tokens a second).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Before anything imports gradio or huggingface_hub: nothing is reported to anyone, and no version is looked up.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_MCP_SERVER"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# No library fetches anything by itself: `runtime/sources` alone asks the Hub, in a process of its own, which gets back
# what the user had set. The second variable keeps that for processes that this one starts.
HUB_SWITCH, HUB_SWITCH_KEPT = "HF_HUB_OFFLINE", "_MMDEMO_HF_HUB_OFFLINE"
if HUB_SWITCH_KEPT not in os.environ:
    os.environ[HUB_SWITCH_KEPT] = os.environ.get(HUB_SWITCH, "")
    os.environ[HUB_SWITCH] = "1"
