"""Database, task queue and object storage behind a few addresses."""

import os

from celery.result import AsyncResult
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponseNotAllowed, JsonResponse

from .models import Note
from .tasks import letters


def index(request):
    told = {"version": os.environ.get("NOTES_VERSION", "1"), "secure": request.is_secure(), "host": request.get_host()}
    return JsonResponse(told | {"container": os.environ.get("CONTAINER"), "notes": Note.objects.count()})


def notes(request):
    if request.method == "POST":
        note = Note.objects.create(text=request.body.decode())
        return JsonResponse({"id": note.id}, status=201)
    return JsonResponse({"notes": list(Note.objects.order_by("id").values_list("text", flat=True))})


def count(request):
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return JsonResponse({"task": letters.delay().id}, status=202)


def counted(_request, task):
    result = AsyncResult(task)
    return JsonResponse({"state": result.state, "letters": result.result if result.successful() else None})


def files(request, name):
    if request.method == "PUT":
        return JsonResponse({"name": default_storage.save(name, ContentFile(request.body))}, status=201)
    if not default_storage.exists(name):
        raise Http404(name)
    return FileResponse(default_storage.open(name))
