from django.urls import path
from notes import views

urlpatterns = [
    path("", views.index),
    path("notes", views.notes),
    path("count", views.count),
    path("count/<str:task>", views.counted),
    path("files/<path:name>", views.files),
]
