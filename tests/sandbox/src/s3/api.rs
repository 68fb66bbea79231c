//! The protocol's operations, each handed to the module that knows it. Nothing is decided here.
//!
//! What is not listed answers 501 `NotImplemented`, as the provider does for what it does not have.
//!
//! Past 400 lines: the trait's sixty operations stand in one `impl`, which cannot be divided.

use std::sync::Arc;

use hyper::StatusCode;
#[allow(
    clippy::wildcard_imports,
    reason = "two names for each of sixty operations; not reported in test builds, so no expect"
)]
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::acl::{Acl, owner};
use super::conditions::WriteConditions;
use super::documents::{self, Kind};
use super::gate::Caller;
use super::server::Status;
use super::store::Store;
use super::trace::Trace;
use super::{
    buckets, copy, cors, deleting, encryption, errors, lifecycle, listing, location, lock, multipart,
    objects, reading, restore, tagging, uploads, versions,
};

/// The operations over one store.
#[derive(Debug)]
pub(crate) struct Api(pub(crate) Arc<Store>);

type Answer<T> = S3Result<S3Response<T>>;

#[expect(clippy::unnecessary_wraps, reason = "the last line of every operation")]
fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

#[expect(clippy::unnecessary_wraps, reason = "the last line of an operation")]
fn answer_with<T>(output: T, status: StatusCode) -> Answer<T> {
    let mut response = S3Response::new(output);
    response.extensions.insert(Status(status));
    Ok(response)
}

/// Who asks, as the gate found.
fn caller<T>(request: &S3Request<T>) -> Caller {
    request.extensions.get::<Caller>().cloned().unwrap_or_default()
}

/// The notes on the request, for what only its operation knows.
fn trace<T>(request: &S3Request<T>) -> Trace {
    request.extensions.get::<Trace>().cloned().unwrap_or_default()
}

/// The conditions of a `CopyObject` on its destination, which the library does not parse.
fn copy_demands(request: &S3Request<CopyObjectInput>) -> S3Result<WriteConditions> {
    let parse = |name: hyper::header::HeaderName| {
        let value = request.headers.get(name);
        let parsed = value.map(|value| ETagCondition::parse_http_header(value.as_bytes())).transpose();
        parsed.map_err(|_| errors::invalid("A conditional header is invalid"))
    };
    let (if_match, if_none_match) = (parse(hyper::header::IF_MATCH)?, parse(hyper::header::IF_NONE_MATCH)?);
    Ok(WriteConditions { if_match, if_none_match, new_only: caller(request).new_only })
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        answer(buckets::create(&self.0, request.input).await?)
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        answer(buckets::head(&self.0, &request.input.bucket)?)
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        buckets::delete(&self.0, &request.input.bucket).await?;
        answer(DeleteBucketOutput {})
    }

    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        answer(buckets::list(&self.0, &request.input)?)
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        answer(buckets::location(&self.0, &request.input.bucket)?)
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        answer(buckets::versioning(&self.0, &request.input.bucket)?)
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        let input = request.input;
        buckets::put_versioning(&self.0, &input.bucket, &input.versioning_configuration).await?;
        answer(PutBucketVersioningOutput {})
    }

    async fn get_bucket_acl(&self, request: S3Request<GetBucketAclInput>) -> Answer<GetBucketAclOutput> {
        let store = &self.0;
        let grants =
            store.read_bucket(&request.input.bucket, |found| Ok(found.bucket.acl.grants(&store.owner)))?;
        answer(GetBucketAclOutput { grants: Some(grants), owner: Some(owner(&store.owner)) })
    }

    async fn put_bucket_acl(&self, request: S3Request<PutBucketAclInput>) -> Answer<PutBucketAclOutput> {
        let input = request.input;
        let grants = [
            ("FULL_CONTROL", input.grant_full_control.as_deref()),
            ("READ", input.grant_read.as_deref()),
            ("READ_ACP", input.grant_read_acp.as_deref()),
            ("WRITE", input.grant_write.as_deref()),
            ("WRITE_ACP", input.grant_write_acp.as_deref()),
        ];
        let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
        let acl = match input.access_control_policy {
            Some(policy) => Acl::from_document(policy.grants, &self.0.owner)?,
            None => Acl::from_headers(canned, &grants, &self.0.owner)?,
        };
        let change = |bucket: &mut super::model::Bucket| {
            bucket.acl = acl;
            Ok(())
        };
        self.0.change_bucket(&input.bucket, change).await?;
        answer(PutBucketAclOutput {})
    }

    async fn get_object_acl(&self, request: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
        let (store, input) = (&self.0, request.input);
        let version = store.version(&input.bucket, &input.key, input.version_id.as_deref())?;
        let object = version.object.as_ref().ok_or_else(errors::no_such_key)?;
        let (grants, owner) = (object.attributes.acl.grants(&store.owner), owner(&store.owner));
        answer(GetObjectAclOutput { grants: Some(grants), owner: Some(owner), request_charged: None })
    }

    async fn put_object_acl(&self, request: S3Request<PutObjectAclInput>) -> Answer<PutObjectAclOutput> {
        let input = request.input;
        let grants = [
            ("FULL_CONTROL", input.grant_full_control.as_deref()),
            ("READ", input.grant_read.as_deref()),
            ("READ_ACP", input.grant_read_acp.as_deref()),
            ("WRITE", input.grant_write.as_deref()),
            ("WRITE_ACP", input.grant_write_acp.as_deref()),
        ];
        let canned = input.acl.as_ref().map(ObjectCannedACL::as_str);
        let acl = match input.access_control_policy {
            Some(policy) => Acl::from_document(policy.grants, &self.0.owner)?,
            None => Acl::from_headers(canned, &grants, &self.0.owner)?,
        };
        let change = |_: &super::model::Bucket, object: &mut super::model::Object| {
            object.attributes.acl = acl;
            Ok(())
        };
        self.0.change_version((&input.bucket, &input.key, input.version_id.as_deref()), change).await?;
        answer(PutObjectAclOutput::default())
    }

    async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> Answer<GetBucketTaggingOutput> {
        let tags = self.0.read_bucket(&request.input.bucket, |found| Ok(found.bucket.tags.clone()))?;
        if tags.is_empty() {
            let message = "The TagSet does not exist";
            return Err(s3s::S3Error::with_message(s3s::S3ErrorCode::NoSuchTagSet, message));
        }
        answer(GetBucketTaggingOutput { tag_set: tagging::to_protocol(&tags) })
    }

    async fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> Answer<PutBucketTaggingOutput> {
        let tags = tagging::of_bucket(request.input.tagging)?;
        let change = |bucket: &mut super::model::Bucket| {
            bucket.tags = tags;
            Ok(())
        };
        self.0.change_bucket(&request.input.bucket, change).await?;
        answer(PutBucketTaggingOutput {})
    }

    async fn delete_bucket_tagging(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> Answer<DeleteBucketTaggingOutput> {
        let change = |bucket: &mut super::model::Bucket| {
            bucket.tags.clear();
            Ok(())
        };
        self.0.change_bucket(&request.input.bucket, change).await?;
        answer(DeleteBucketTaggingOutput {})
    }

    async fn get_bucket_policy(
        &self,
        request: S3Request<GetBucketPolicyInput>,
    ) -> Answer<GetBucketPolicyOutput> {
        let policy = documents::get(&self.0, &request.input.bucket, Kind::Policy)?;
        answer(GetBucketPolicyOutput { policy: Some(policy) })
    }

    async fn get_bucket_policy_status(
        &self,
        request: S3Request<GetBucketPolicyStatusInput>,
    ) -> Answer<GetBucketPolicyStatusOutput> {
        let policy = documents::get(&self.0, &request.input.bucket, Kind::Policy)?;
        let status = PolicyStatus { is_public: Some(documents::is_public(&policy)) };
        answer(GetBucketPolicyStatusOutput { policy_status: Some(status) })
    }

    async fn put_bucket_policy(
        &self,
        request: S3Request<PutBucketPolicyInput>,
    ) -> Answer<PutBucketPolicyOutput> {
        documents::put_policy(&self.0, &request.input.bucket, request.input.policy).await?;
        answer(PutBucketPolicyOutput {})
    }

    async fn delete_bucket_policy(
        &self,
        request: S3Request<DeleteBucketPolicyInput>,
    ) -> Answer<DeleteBucketPolicyOutput> {
        documents::delete(&self.0, &request.input.bucket, Kind::Policy).await?;
        answer(DeleteBucketPolicyOutput {})
    }

    async fn delete_bucket_lifecycle(
        &self,
        request: S3Request<DeleteBucketLifecycleInput>,
    ) -> Answer<DeleteBucketLifecycleOutput> {
        documents::delete(&self.0, &request.input.bucket, Kind::Lifecycle).await?;
        answer(DeleteBucketLifecycleOutput {})
    }

    async fn delete_bucket_cors(
        &self,
        request: S3Request<DeleteBucketCorsInput>,
    ) -> Answer<DeleteBucketCorsOutput> {
        documents::delete(&self.0, &request.input.bucket, Kind::Cors).await?;
        answer(DeleteBucketCorsOutput {})
    }

    async fn delete_bucket_website(
        &self,
        request: S3Request<DeleteBucketWebsiteInput>,
    ) -> Answer<DeleteBucketWebsiteOutput> {
        documents::delete(&self.0, &request.input.bucket, Kind::Website).await?;
        answer(DeleteBucketWebsiteOutput {})
    }

    async fn delete_bucket_encryption(
        &self,
        request: S3Request<DeleteBucketEncryptionInput>,
    ) -> Answer<DeleteBucketEncryptionOutput> {
        documents::delete(&self.0, &request.input.bucket, Kind::Encryption).await?;
        answer(DeleteBucketEncryptionOutput {})
    }

    async fn get_bucket_cors(&self, request: S3Request<GetBucketCorsInput>) -> Answer<GetBucketCorsOutput> {
        answer(documents::get_xml(&self.0, &request.input.bucket, Kind::Cors)?)
    }

    async fn put_bucket_cors(&self, request: S3Request<PutBucketCorsInput>) -> Answer<PutBucketCorsOutput> {
        cors::check(&request.input.cors_configuration)?;
        documents::put_xml(&self.0, &request.input.bucket, Kind::Cors, &request.input.cors_configuration)
            .await?;
        answer(PutBucketCorsOutput {})
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answer<GetBucketLifecycleConfigurationOutput> {
        let found: BucketLifecycleConfiguration =
            documents::get_xml(&self.0, &request.input.bucket, Kind::Lifecycle)?;
        answer(GetBucketLifecycleConfigurationOutput {
            rules: Some(found.rules),
            transition_default_minimum_object_size: None,
        })
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answer<PutBucketLifecycleConfigurationOutput> {
        let input = request.input;
        let wanted = input
            .lifecycle_configuration
            .ok_or_else(|| errors::bad_request("Missing lifecycle configuration"))?;
        lifecycle::put(&self.0, &input.bucket, wanted).await?;
        answer(PutBucketLifecycleConfigurationOutput::default())
    }

    async fn get_bucket_website(
        &self,
        request: S3Request<GetBucketWebsiteInput>,
    ) -> Answer<GetBucketWebsiteOutput> {
        answer(documents::get_xml(&self.0, &request.input.bucket, Kind::Website)?)
    }

    async fn put_bucket_website(
        &self,
        request: S3Request<PutBucketWebsiteInput>,
    ) -> Answer<PutBucketWebsiteOutput> {
        let input = request.input;
        documents::put_xml(&self.0, &input.bucket, Kind::Website, &input.website_configuration).await?;
        answer(PutBucketWebsiteOutput {})
    }

    async fn get_bucket_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> Answer<GetBucketEncryptionOutput> {
        let found = documents::get_xml(&self.0, &request.input.bucket, Kind::Encryption)?;
        answer(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(found) })
    }

    async fn put_bucket_encryption(
        &self,
        request: S3Request<PutBucketEncryptionInput>,
    ) -> Answer<PutBucketEncryptionOutput> {
        let input = request.input;
        encryption::put(&self.0, &input.bucket, &input.server_side_encryption_configuration).await?;
        answer(PutBucketEncryptionOutput {})
    }

    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> Answer<GetObjectLockConfigurationOutput> {
        answer(lock::get_configuration(&self.0, &request.input.bucket)?)
    }

    async fn put_object_lock_configuration(
        &self,
        request: S3Request<PutObjectLockConfigurationInput>,
    ) -> Answer<PutObjectLockConfigurationOutput> {
        let input = request.input;
        lock::put_configuration(&self.0, &input.bucket, input.object_lock_configuration).await?;
        answer(PutObjectLockConfigurationOutput::default())
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let (trailers, new_only) = (request.trailing_headers.clone(), caller(&request).new_only);
        answer(objects::put(&self.0, request.input, trailers, new_only).await?)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        answer(reading::get(&self.0, request.input).await?)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let output = reading::head(&self.0, request.input)?;
        if output.content_range.is_some() {
            answer_with(output, StatusCode::PARTIAL_CONTENT)
        } else {
            answer(output)
        }
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let trace = trace(&request);
        answer(deleting::delete(&self.0, request.input, &trace).await?)
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let (caller, trace) = (caller(&request), trace(&request));
        answer(deleting::delete_many(&self.0, request.input, &caller, &trace).await?)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let demands = copy_demands(&request)?;
        copy::permit(&self.0, &caller(&request), &request.input.copy_source)?;
        answer(copy::copy(&self.0, request.input, demands).await?)
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        answer(listing::list_v1(&self.0, &request.input)?)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        answer(listing::list_v2(&self.0, &request.input)?)
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        let (output, order) = versions::list(&self.0, &request.input)?;
        let mut response = S3Response::new(output);
        response.extensions.insert(order);
        Ok(response)
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        answer(tagging::get(&self.0, &request.input)?)
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        answer(tagging::put(&self.0, request.input).await?)
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        answer(tagging::delete(&self.0, request.input).await?)
    }

    async fn get_object_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> Answer<GetObjectRetentionOutput> {
        answer(lock::get_retention(&self.0, &request.input)?)
    }

    async fn put_object_retention(
        &self,
        request: S3Request<PutObjectRetentionInput>,
    ) -> Answer<PutObjectRetentionOutput> {
        lock::put_retention(&self.0, request.input).await?;
        answer(PutObjectRetentionOutput::default())
    }

    async fn get_object_legal_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> Answer<GetObjectLegalHoldOutput> {
        answer(lock::get_hold(&self.0, &request.input)?)
    }

    async fn put_object_legal_hold(
        &self,
        request: S3Request<PutObjectLegalHoldInput>,
    ) -> Answer<PutObjectLegalHoldOutput> {
        lock::put_hold(&self.0, request.input).await?;
        answer(PutObjectLegalHoldOutput::default())
    }

    async fn restore_object(&self, request: S3Request<RestoreObjectInput>) -> Answer<RestoreObjectOutput> {
        let (output, begun) = restore::restore(&self.0, request.input).await?;
        if begun { answer_with(output, StatusCode::ACCEPTED) } else { answer(output) }
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        answer(multipart::create(&self.0, request.input).await?)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let trailers = request.trailing_headers.clone();
        answer(multipart::upload_part(&self.0, request.input, trailers).await?)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        copy::permit(&self.0, &caller(&request), &request.input.copy_source)?;
        answer(multipart::upload_part_copy(&self.0, request.input).await?)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let new_only = caller(&request).new_only;
        let host = request.headers.get(hyper::header::HOST).and_then(|value| value.to_str().ok());
        let location = location::of(host.unwrap_or_default(), request.uri.path());
        answer(multipart::complete(&self.0, request.input, new_only, location).await?)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        multipart::abort(&self.0, request.input).await?;
        answer(AbortMultipartUploadOutput::default())
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        answer(uploads::list_parts(&self.0, &request.input)?)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        answer(uploads::list_uploads(&self.0, &request.input)?)
    }
}
