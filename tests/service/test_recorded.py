"""Nothing is shown or decided unrecorded."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from pathlib import Path

import pytest
from conftest import Office
from visiting import Answer, Visitor, check_problem

