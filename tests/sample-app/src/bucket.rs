//! The bucket with the documents.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::operation::get_object::GetObjectOutput;

use crate::error::AppError;
use crate::settings::BucketSettings;

/// One bucket at an S3-compatible provider.
pub(crate) struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// Addresses by path, and no checksums that other providers than AWS do not know.
    pub(crate) fn new(settings: BucketSettings) -> Self {
        let BucketSettings { name, endpoint, region, access_key_id, secret_access_key } = settings;
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(access_key_id, secret_access_key, None, None, "variables"))
            .endpoint_url(endpoint)
            .region(Region::new(region))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), name }
    }

    /// An object with its body still to be read; `None` if there is no such object.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<GetObjectOutput>, AppError> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Some(object)),
            Err(error) => match aws_sdk_s3::Error::from(error) {
                aws_sdk_s3::Error::NoSuchKey(_) => Ok(None),
                error => Err(AppError::Bucket(Box::new(error))),
            },
        }
    }
}
